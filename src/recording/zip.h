/* zip.h: archives of files, stored or deflated, as NumPy writes .npz.
 * Source: PKWARE's APPNOTE.TXT, 4.3 (layout), 4.5.3 (sizes of 64 bits). */
#ifndef MOEGPS_RECORDING_ZIP_H
#define MOEGPS_RECORDING_ZIP_H

#include "moegps/numbers.h"

typedef struct moe_zip_member {
    char name[128];
    uint64_t at;           /* of its header in the archive */
    uint64_t packed, size; /* bytes there, and of the file */
    int method;
    uint32_t crc; /* of the file */
} moe_zip_member;

typedef struct moe_zip {
    const char *path;              /* borrowed */
    void *file;                    /* FILE * */
    void *inflating;               /* of the member being read; NULL: none */
    uint64_t left;                 /* of its bytes in the archive */
    const moe_zip_member *reading; /* that member */
    uint64_t given;                /* of its bytes were handed out, ... */
    uint32_t crc;                  /* ... which have this sum */
    moe_zip_member *member;        /* [n], owned */
    size_t n;
} moe_zip;

/* Read the list of members.
 * @param out  close in any case. @return MOE_OK, MOE_USAGE, MOE_FORMAT. */
moe_status moe_zip_open(const char *path, moe_zip *out, moe_error *err);
void moe_zip_close(moe_zip *zip);

/* Go to the beginning of member i, whose bytes the source then hands out.
 * @return MOE_OK, MOE_FORMAT (truncated, or packed in another way). */
moe_status moe_zip_seek(moe_zip *zip, size_t i, moe_byte_source *out,
                        moe_error *err);

#endif
