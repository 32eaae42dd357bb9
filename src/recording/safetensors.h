/* safetensors.h: files of named tensors: 8 bytes of the header's length, a JSON
 * object {name: {dtype, shape, data_offsets}}, then the elements. */
#ifndef MOEGPS_RECORDING_SAFETENSORS_H
#define MOEGPS_RECORDING_SAFETENSORS_H

#include "moegps/jtree.h"
#include "moegps/numbers.h"

typedef struct moe_safetensors {
    const char *path; /* borrowed */
    void *file;       /* FILE * */
    uint64_t data;    /* bytes before the elements */
    uint64_t bytes;   /* of the file */
    moe_jtree header;
} moe_safetensors;

/* @param out  close in any case. @return MOE_OK, MOE_USAGE, MOE_FORMAT. */
moe_status moe_safetensors_open(const char *path, moe_safetensors *out,
                                moe_error *err);
void moe_safetensors_close(moe_safetensors *s);

/* @return tensors in the file. */
size_t moe_safetensors_count(const moe_safetensors *s);

/* @return the name of tensor i, borrowed. */
const char *moe_safetensors_name(const moe_safetensors *s, size_t i);

/* Go to tensor i. @return MOE_OK, MOE_FORMAT (a type that is no number, sizes
 * that are not those of its bytes). */
moe_status moe_safetensors_seek(moe_safetensors *s, size_t i, moe_numbers *out,
                                moe_error *err);

#endif
