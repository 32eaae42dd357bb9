/** text.h: texts in buffers of a fixed size, cut off where these end. */
#ifndef MOEGPS_TEXT_H
#define MOEGPS_TEXT_H

#include <stddef.h>

/** Append `between`, unless the text is empty, and then what printf() would
 *  write. What does not fit is left out; the text always ends.
 *  @param size  of the buffer, > 0. */
__attribute__((format(printf, 4, 5))) void moe_text_add(char *text, size_t size,
                                                        const char *between,
                                                        const char *format,
                                                        ...);

#endif
