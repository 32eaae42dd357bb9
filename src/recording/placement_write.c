/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "moegps/placement.h"

static const char *const names[MOE_N_FORMS] = {[MOE_FORM_SGLANG] = "sglang",
                                               [MOE_FORM_VLLM] = "vllm",
                                               [MOE_FORM_TRTLLM] = "trtllm",
                                               [MOE_FORM_ASCEND] = "ascend"};

const char *moe_engine_form_name(moe_engine_form form)
{
    return names[form];
}

static const int16_t *row_of(const moe_placement *p, int l)
{
    return p->expert + (size_t)l * (size_t)p->slots;
}

static void write_row(const int16_t *row, int n, FILE *out)
{
    for (int k = 0; k < n; k++)
        fprintf(out, "%s%d", k > 0 ? ", " : "[", row[k]);
    fputc(']', out);
}

/* Dense layers have rows, too; nobody looks at them. */
static void write_plain(const moe_placement *p, FILE *out)
{
    for (int k = 0; k < p->slots; k++)
        fprintf(out, "%s%d", k > 0 ? ", " : "[", k % p->experts);
    fputc(']', out);
}

static void write_sglang(const moe_placement *p, int n_layers, FILE *out)
{
    const int last = p->layer_number[p->layers - 1];
    const int rows = n_layers > last ? n_layers : last + 1;
    int l = 0;
    fputs("{\"physical_to_logical_map\": [", out);
    for (int number = 0; number < rows; number++) {
        fputs(number > 0 ? ",\n  " : "\n  ", out);
        if (l < p->layers && p->layer_number[l] == number)
            write_row(row_of(p, l++), p->slots, out);
        else
            write_plain(p, out);
    }
    fputs("\n]}\n", out);
}

static void write_text(const char *text, FILE *out)
{
    fputc('"', out);
    for (; *text != '\0'; text++)
        if (*text == '"' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else if ((unsigned char)*text >= ' ')
            fputc(*text, out);
    fputc('"', out);
}

static void write_vllm(const moe_placement *p, const char *model, FILE *out)
{
    fputs("{\"version\": 2,\n \"format\": "
          "\"vllm_offline_eplb_physical_to_logical_by_model\",\n"
          " \"model_maps\": {",
          out);
    write_text(model, out);
    fputs(": {\"physical_to_logical_map\": [", out);
    for (int l = 0; l < p->layers; l++) {
        fputs(l > 0 ? ",\n  " : "\n  ", out);
        write_row(row_of(p, l), p->slots, out);
    }
    fputs("\n]}}}\n", out);
}

static void write_trtllm(const moe_placement *p, FILE *out)
{
    fprintf(out, "num_slots: %d\ninitial_global_assignments:\n", p->slots);
    for (int l = 0; l < p->layers; l++) {
        fprintf(out, "  %d: ", p->layer_number[l]);
        write_row(row_of(p, l), p->slots, out);
        fputc('\n', out);
    }
    fputs("layer_updates_per_iter: 0\n", out);
}

static void write_ascend(const moe_placement *p, FILE *out)
{
    const int per = p->slots / p->gpus;
    fprintf(out, "{\"moe_layer_count\": %d, \"layer_list\": [", p->layers);
    for (int l = 0; l < p->layers; l++) {
        fprintf(out,
                "%s\n {\"layer_id\": %d, \"device_count\": %d, "
                "\"device_list\": [",
                l > 0 ? "," : "", l, p->gpus);
        for (int g = 0; g < p->gpus; g++) {
            fprintf(out, "%s\n  {\"device_id\": %d, \"device_expert\": ",
                    g > 0 ? "," : "", g);
            write_row(row_of(p, l) + g * per, per, out);
            fputc('}', out);
        }
        fputs("]}", out);
    }
    fputs("]}\n", out);
}

/* What engines' readers check: every slot filled, every expert somewhere. */
static moe_status check(const moe_placement *p, moe_error *err)
{
    for (int l = 0; l < p->layers; l++) {
        bool seen[4096] = {false};
        int found = 0;
        for (int k = 0; k < p->slots; k++) {
            const int e = row_of(p, l)[k];
            if (e < 0 || e >= p->experts)
                return moe_fail(err, MOE_FORMAT,
                                "layer %d, slot %d is empty; engines want "
                                "every slot filled",
                                p->layer_number[l], k);
            found += !seen[e];
            seen[e] = true;
        }
        if (found < p->experts)
            return moe_fail(err, MOE_FORMAT,
                            "layer %d has only %d of %d experts",
                            p->layer_number[l], found, p->experts);
    }
    return MOE_OK;
}

moe_status moe_placement_write(const moe_placement *p, moe_engine_form form,
                               const char *model, int n_layers, FILE *out,
                               moe_error *err)
{
    if (check(p, err) != MOE_OK)
        return err->status;
    if (form == MOE_FORM_SGLANG)
        write_sglang(p, n_layers, out);
    else if (form == MOE_FORM_VLLM)
        write_vllm(p, model, out);
    else if (form == MOE_FORM_TRTLLM)
        write_trtllm(p, out);
    else
        write_ascend(p, out);
    if (fflush(out) != 0 || ferror(out))
        return moe_fail(err, MOE_IO, "cannot write a placement: %s",
                        strerror(errno));
    return MOE_OK;
}
