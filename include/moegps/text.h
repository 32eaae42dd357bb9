/** text.h: texts in buffers of a fixed size, cut off where these end; and the
 *  word that was meant. */
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

/** The name that a mistyped word is nearest to: at most one mistake in three
 *  letters. A mistake is a letter that is wrong, missing, one too many, or in
 *  its neighbour's place. */
typedef struct moe_nearest {
    const char *word; /* as typed; set by the caller, all else 0. Borrowed */
    size_t len;       /* of it, as it may go on; 0: the whole text */
    const char *name; /* the nearest so far; NULL: none is near. Borrowed */
    size_t mistakes;  /* between them */
} moe_nearest;

/** Hold one more name against the word. NULL is fine. */
void moe_nearest_try(moe_nearest *nearest, const char *name);

#endif
