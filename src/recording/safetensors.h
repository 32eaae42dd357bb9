/* safetensors.h: files of named tensors: 8 bytes of the header's length, a JSON
 * object {name: {dtype, shape, data_offsets}}, then the elements. */
#ifndef MOEGPS_RECORDING_SAFETENSORS_H
#define MOEGPS_RECORDING_SAFETENSORS_H

#include "moegps/numbers.h"

/* What the header says of a tensor. */
typedef struct moe_tensor {
    char *name;         /* owned */
    char kind;          /* of its numbers, as in moe_numbers; 0: not known */
    unsigned char size; /* bytes of each */
    signed char rank;   /* -1: it has no shape or no data_offsets */
    uint64_t begin, end;
    uint64_t dims[MOE_NUMBERS_MAX_RANK];
} moe_tensor;

typedef struct moe_safetensors {
    const char *path;   /* borrowed */
    void *file;         /* FILE * */
    uint64_t data;      /* bytes before the elements */
    uint64_t bytes;     /* of the file */
    moe_tensor *tensor; /* [n], owned */
    size_t n, room;
} moe_safetensors;

/* @param out  close in any case. @return MOE_OK, MOE_USAGE, MOE_FORMAT. */
moe_status moe_safetensors_open(const char *path, moe_safetensors *out,
                                moe_error *err);
void moe_safetensors_close(moe_safetensors *s);

/* Go to tensor i. @return MOE_OK, MOE_FORMAT (a type that is no number, sizes
 * that are not those of its bytes). */
moe_status moe_safetensors_seek(moe_safetensors *s, size_t i, moe_numbers *out,
                                moe_error *err);

#endif
