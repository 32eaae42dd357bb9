/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "moegps/text.h"

moe_field_id moe_traffic_field(int t)
{
    static const moe_field_id ids[MOE_N_TRAFFIC] = {MOE_FIELD_DISPATCH_BYTES,
                                                    MOE_FIELD_AHEAD_BYTES};
    return ids[t];
}

hid_t moe_element_file_type(moe_element element)
{
    switch (element) {
    case MOE_ELEMENT_F64:
        return H5T_IEEE_F64LE;
    case MOE_ELEMENT_I64:
        return H5T_STD_I64LE;
    case MOE_ELEMENT_I32:
        return H5T_STD_I32LE;
    case MOE_ELEMENT_I16:
        return H5T_STD_I16LE;
    }
    assert(false);
    return H5I_INVALID_HID;
}

hid_t moe_element_mem_type(moe_element element)
{
    switch (element) {
    case MOE_ELEMENT_F64:
        return H5T_NATIVE_DOUBLE;
    case MOE_ELEMENT_I64:
        return H5T_NATIVE_INT64;
    case MOE_ELEMENT_I32:
        return H5T_NATIVE_INT32;
    case MOE_ELEMENT_I16:
        return H5T_NATIVE_INT16;
    }
    assert(false);
    return H5I_INVALID_HID;
}

MPI_Datatype moe_element_mpi_type(moe_element element)
{
    switch (element) {
    case MOE_ELEMENT_F64:
        return MPI_DOUBLE;
    case MOE_ELEMENT_I64:
        return MPI_INT64_T;
    case MOE_ELEMENT_I32:
        return MPI_INT32_T;
    case MOE_ELEMENT_I16:
        return MPI_INT16_T;
    }
    assert(false);
    return MPI_DATATYPE_NULL;
}

void moe_field_flags(moe_field_id id, char *words, size_t size, int *n_out)
{
    words[0] = '\0';
    *n_out = id == MOE_FIELD_PRICE_SOURCE ? MOE_N_PRICE_SOURCES : 0;
    for (int v = 0; v < *n_out; v++)
        moe_text_add(words, size, " ", "%s",
                     moe_price_source_name((moe_price_source)v));
}
