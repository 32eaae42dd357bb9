/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/jtree.h"
#include "moegps/mem.h"

/* What nccl-tests print: `#` lines, then
 *   size count type [redop root] time algbw busbw #wrong time algbw busbw #wrong
 * out-of-place before in-place; or, asked for JSON, {"config": {"devices": []},
 * "results": [{"size", "out_of_place": {"time", "nwrong"}}]}. */

enum { MOST_WORDS = 16, IN_PLACE_WORDS = 8, LEAST_WORDS = 11 };
enum { MOST_GPUS = 1 << 20 };

static bool detect(const char *text)
{
    return strstr(text, "out-of-place") != NULL &&
           strstr(text, "algbw") != NULL;
}

static int split(char *line, char **word)
{
    int n = 0;
    char *save = NULL;
    for (char *w = strtok_r(line, " \t\r", &save); w != NULL && n < MOST_WORDS;
         w = strtok_r(NULL, " \t\r", &save))
        word[n++] = w;
    return n;
}

static bool is_number(const char *word, double *out)
{
    char *end = NULL;
    *out = strtod(word, &end);
    return end != word && *end == '\0';
}

static moe_status wrong(const char *path, uint64_t line, double n,
                        moe_error *err)
{
    return moe_fail(err, MOE_FORMAT,
                    "%s:%llu: %g results were wrong: such times count for "
                    "nothing",
                    path, (unsigned long long)line, n);
}

/* @param link  what is known of it: line, op, ranks. */
static moe_status take_row(const moe_measured_file *file, char *text,
                           moe_measured_link link, moe_error *err)
{
    char *word[MOST_WORDS];
    double errors = 0;
    const int n = split(text, word);
    if (n < LEAST_WORDS || !is_number(word[0], &link.bytes) || link.bytes < 1 ||
        !is_number(word[n - IN_PLACE_WORDS], &link.time_us))
        return MOE_OK;
    if (is_number(word[n - IN_PLACE_WORDS + 3], &errors) && errors > 0)
        return wrong(file->path, link.line, errors, err);
    return moe_measured_add_link(file, &link, err);
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static moe_status read(const moe_measured_file *file, moe_error *err)
{
    moe_measured_lines lines = {.rest = file->text};
    const char *op = file->options->op != NULL
                         ? NULL
                         : moe_measured_collective(name_of(file->path));
    int ranks = 0;
    for (char *line;
         err->status == MOE_OK && (line = moe_measured_line(&lines)) != NULL;) {
        if (strstr(line, "Collective test starting") != NULL) {
            op = moe_measured_collective(line);
            ranks = 0; /* several runs in one file */
        }
        if (strstr(line, "Using devices") != NULL)
            ranks = 0;
        if (strstr(line, "Rank") != NULL && strstr(line, " device ") != NULL)
            ranks++;
        else if (*line != '#')
            take_row(file, line,
                     (moe_measured_link){
                         .line = lines.number, .op = op, .ranks = ranks},
                     err);
    }
    return err->status;
}

const moe_measured_format moe_measured_nccl_format = {
    .name = "nccl",
    .help = "what nccl-tests print",
    .detect = detect,
    .read = read};

/* ---- JSON ---- */

static bool detect_json(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '{' &&
           strstr(text, "\"out_of_place\"") != NULL;
}

static double number_at(const moe_jtree *t, const char *key, double absent)
{
    const moe_jtree *x = moe_jtree_get(t, key);
    return x != NULL && x->type == MOE_JNUMBER ? x->number : absent;
}

static void take_results(const moe_measured_file *file, const moe_jtree *root,
                         moe_error *err)
{
    const moe_jtree *config = moe_jtree_get(root, "config");
    const moe_jtree *devices = moe_jtree_get(config, "devices");
    const moe_jtree *results = moe_jtree_get(root, "results");
    const double gpus = number_at(config, "ngpus", 1);
    const size_t listed =
        devices != NULL && devices->type == MOE_JLIST ? devices->n : 0;
    if (!(gpus >= 1 && gpus <= MOST_GPUS) || gpus != floor(gpus) ||
        (listed > 0 && gpus > (double)listed)) {
        moe_fail(err, MOE_FORMAT,
                 "%s: config: ngpus is %g, with %zu devices listed", file->path,
                 gpus, listed);
        return;
    }
    const int ranks =
        listed > 0 ? (int)listed : (int)number_at(config, "ngpus", 0);
    const char *op = moe_measured_collective(name_of(file->path));
    const moe_jtree *test = moe_jtree_get(root, "test");
    if (test != NULL && test->type == MOE_JTEXT)
        op = moe_measured_collective(test->text);
    for (size_t i = 0; results != NULL && results->type == MOE_JLIST &&
                       i < results->n && err->status == MOE_OK;
         i++) {
        const moe_jtree *r = &results->item[i];
        const moe_jtree *o = moe_jtree_get(r, "out_of_place");
        const moe_measured_link link = {
            i + 1, op, ranks, number_at(r, "size", 0), number_at(o, "time", 0)};
        if (number_at(o, "nwrong", 0) > 0)
            wrong(file->path, link.line, number_at(o, "nwrong", 0), err);
        else if (link.bytes >= 1)
            moe_measured_add_link(file, &link, err);
    }
}

static moe_status read_json(const moe_measured_file *file, moe_error *err)
{
    return moe_measured_json(file, take_results, err);
}

const moe_measured_format moe_measured_nccl_json_format = {
    .name = "nccl-json",
    .help = "what nccl-tests write with -J",
    .detect = detect_json,
    .read = read_json};
