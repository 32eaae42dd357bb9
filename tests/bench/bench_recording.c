/* SPDX-License-Identifier: Apache-2.0 */
/* Recordings read into memory: MB/s of each format, CPU time of one core,
 * beside its target. */
#include "bench.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "moegps/recording.h"

enum { STEPS = 400, LAYERS = 58, EXPERTS = 256, SAMPLES = 5, K = 8 };
enum { TOKENS = 200000, TOKEN_LAYERS = 16 };

static char path[300];

static void fail(const char *what)
{
    fprintf(stderr, "bench_recording: %s\n", what);
    exit(1);
}

/* Loads of five digits, the same every time. */
static unsigned load_at(size_t i)
{
    return (unsigned)(i * 2654435761u % 100000);
}

static void put_header(FILE *out, const char *type, const char *shape)
{
    char head[118];
    snprintf(head, sizeof head,
             "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type,
             shape);
    fwrite("\x93NUMPY\x01\0\x76\0", 1, 10, out);
    fprintf(out, "%-117s\n", head);
}

static void put_loads_npy(FILE *out)
{
    put_header(out, "<i4", "(400, 58, 256)");
    for (size_t i = 0; i < (size_t)STEPS * LAYERS * EXPERTS; i++)
        fwrite(&(int32_t){(int32_t)load_at(i)}, sizeof(int32_t), 1, out);
}

static void put_tokens_npy(FILE *out)
{
    put_header(out, "<i2", "(16, 200000, 8)");
    for (size_t i = 0; i < (size_t)TOKEN_LAYERS * TOKENS * K; i++)
        fwrite(&(int16_t){(int16_t)(load_at(i) % EXPERTS)}, sizeof(int16_t), 1,
               out);
}

static void put_safetensors(FILE *out)
{
    const size_t bytes = (size_t)STEPS * LAYERS * EXPERTS * sizeof(int32_t);
    char head[160];
    const uint64_t n =
        (uint64_t)snprintf(head, sizeof head,
                           "{\"loads\":{\"dtype\":\"I32\",\"shape\":[%d,%d,%d],"
                           "\"data_offsets\":[0,%zu]}}",
                           STEPS, LAYERS, EXPERTS, bytes);
    fwrite(&n, sizeof n, 1, out);
    fwrite(head, 1, n, out);
    for (size_t i = 0; i < (size_t)STEPS * LAYERS * EXPERTS; i++)
        fwrite(&(int32_t){(int32_t)load_at(i)}, sizeof(int32_t), 1, out);
}

static void put_long(FILE *out)
{
    fputs("step,layer,expert,count\n", out);
    for (size_t i = 0; i < (size_t)STEPS / 4 * LAYERS * EXPERTS; i++)
        fprintf(out, "%zu,%zu,%zu,%u\n", i / EXPERTS / LAYERS,
                i / EXPERTS % LAYERS, i % EXPERTS, load_at(i));
}

static void put_wide(FILE *out)
{
    fputs("step,layer", out);
    for (int e = 0; e < EXPERTS; e++)
        fprintf(out, ",e%d", e);
    for (size_t i = 0; i < (size_t)STEPS * LAYERS * EXPERTS; i++) {
        if (i % EXPERTS == 0)
            fprintf(out, "\n%zu,%zu", i / EXPERTS / LAYERS,
                    i / EXPERTS % LAYERS);
        fprintf(out, ",%u", load_at(i));
    }
    fputc('\n', out);
}

static void put_json(FILE *out)
{
    for (size_t i = 0; i < (size_t)STEPS * LAYERS * EXPERTS; i++)
        fprintf(out, "%s%u",
                i == 0                                ? "{\"loads\": [[["
                : i % ((size_t)LAYERS * EXPERTS) == 0 ? "]],[["
                : i % EXPERTS == 0                    ? "],["
                                                      : ",",
                load_at(i));
    fputs("]]]}\n", out);
}

static const struct {
    const char *name;
    void (*put)(FILE *out);
    moe_recording_kind kind;
    double target; /* MB/s */
} formats[] = {{"npy, loads", put_loads_npy, MOE_RECORDING_LOADS, 200},
               {"npy, tokens", put_tokens_npy, MOE_RECORDING_TOKENS, 200},
               {"safetensors", put_safetensors, MOE_RECORDING_LOADS, 200},
               {"CSV, a row per load", put_long, MOE_RECORDING_LOADS, 100},
               {"CSV, a column per expert", put_wide, MOE_RECORDING_LOADS, 100},
               {"JSON, arrays of numbers", put_json, MOE_RECORDING_LOADS, 100}};

static void time_format(size_t f)
{
    struct stat info;
    bench_series own = {.n = 0};
    FILE *out = fopen(path, "wb");
    if (out == NULL)
        fail("cannot write");
    formats[f].put(out);
    if (fclose(out) != 0 || stat(path, &info) != 0)
        fail("cannot write");
    for (int i = 0; i < SAMPLES; i++) {
        moe_recording r;
        moe_error err = {0};
        const moe_recording_options options = {
            .kind = formats[f].kind,
            .axes = formats[f].kind == MOE_RECORDING_TOKENS
                        ? MOE_AXES_LAYERS_TOKENS
                        : MOE_AXES_UNKNOWN};
        const double start = bench_cpu();
        if (moe_recording_read(path, &options, &r, &err) != MOE_OK)
            fail(err.text);
        bench_add(&own, bench_cpu() - start);
        moe_recording_fini(&r);
    }
    const double mb = (double)info.st_size * 1e-6;
    bench_print(formats[f].name, &own, mb, "MB/s");
    printf("  %-40s %9.0f MB/s  %s\n", "... wanted", formats[f].target,
           mb / bench_summary(&own).median >= formats[f].target ? "ok"
                                                                : "below");
}

int main(int argc, char **argv)
{
    moe_ctx ctx;
    MPI_Init(&argc, &argv);
    moe_ctx_init(&ctx, MPI_COMM_WORLD);
    bench_header(&ctx, "Recordings: reading each format");
    snprintf(path, sizeof path, "%s/moegps-bench-%ld",
             getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp",
             (long)getpid());
    for (size_t f = 0; f < MOE_ARRAY_LEN(formats); f++)
        time_format(f);
    unlink(path);
    moe_ctx_fini(&ctx);
    MPI_Finalize();
    return 0;
}
