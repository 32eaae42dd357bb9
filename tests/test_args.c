/* SPDX-License-Identifier: Apache-2.0 */
#include "../src/cli/args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "moegps/mem.h"
#include "version.h"

enum { MAX_WORDS = 12 };

typedef struct {
    int count, top_k, time_s;
    double share;
    bool force, quiet, noise;
    uint64_t seed;
    int colour;
    moe_reals skews;
    const char *output, *first, *second;
    moe_strings set, rest;
} settings;

static moe_status parse_minutes(const char *text, void *at, moe_error *err)
{
    char *end;
    const long minutes = strtol(text, &end, 10);
    if (end == text || strcmp(end, ":00") != 0)
        return moe_fail(err, MOE_USAGE, "'%s' is not M:00", text);
    *(int *)at = (int)(60 * minutes);
    return MOE_OK;
}

static const char *const colours[] = {"red", "green", NULL};

#define AT(member) MOE_OPT_AT(settings, member)
static const moe_opt rows[] = {
    {.key = "count",
     .type = MOE_OPT_INT,
     .unit = "tokens",
     .initial = "3",
     .min = 1,
     .max = 64,
     .alias = "number",
     AT(count),
     .help = "of things"},
    {.key = "share",
     .type = MOE_OPT_REAL,
     .initial = "",
     .max = 1,
     AT(share),
     .help = "of them; default: what is left"},
    {.key = "colour",
     .type = MOE_OPT_ENUM,
     .initial = "green",
     .choices = colours,
     AT(colour),
     .help = "of all"},
    {.key = "skews",
     .type = MOE_OPT_REALS,
     .initial = "1:2:0.5",
     .min = 1,
     .max = 9,
     AT(skews),
     .help = "to look at"},
    {.key = "secret", .type = MOE_OPT_INT, .initial = "", .max = 9, AT(count)},
    MOE_ARGS_CALL("time", time_s, "", parse_minutes, "M:00", "to take"),
    MOE_ARGS_SEED(seed, "of all"),
    MOE_ARGS_SET("change something"),
    MOE_ARGS_QUIET,
    MOE_ARGS_FORCE,
    {.key = NULL}};

static const moe_opt more[] = {{.key = "top_k",
                                .type = MOE_OPT_INT,
                                .initial = "2",
                                .min = 1,
                                .max = 8,
                                AT(top_k),
                                .help = "experts"},
                               {.key = "noise",
                                .type = MOE_OPT_BOOL,
                                .initial = "true",
                                AT(noise),
                                .help = "draw it"},
                               MOE_ARGS_OUTPUT(NULL, "FILE", "what is made"),
                               {.key = NULL}};

static const moe_opt two[] = {
    {.key = "A.h5", .type = MOE_OPT_STRING, AT(first)},
    {.key = "B.h5", .type = MOE_OPT_STRING, AT(second)},
    {.key = NULL}};
static const moe_opt any[] = {
    {.key = "A.h5", .type = MOE_OPT_STRING, AT(first)},
    {.key = "RUNS.h5", .type = MOE_OPT_STRINGS, .initial = "", AT(rest)},
    {.key = NULL}};
static const moe_opt timed[] = {
    {.key = "TIME", .type = MOE_OPT_CALL, .parse = parse_minutes, AT(time_s)},
    {.key = NULL}};
#undef AT

static const moe_args none_args = {
    .name = "moegps x", .help = "Do x.", .rows = rows, .more = more};

static moe_args with(const moe_opt *arguments)
{
    moe_args args = none_args;
    args.arguments = arguments;
    return args;
}

/* Cut a line at its spaces. @return the number of words. */
static int words_of(char *line, char **words)
{
    int n = 0;
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " "))
        words[n++] = word;
    words[n] = NULL;
    return n;
}

static bool parse(const moe_args *args, const char *typed, settings *s,
                  moe_error *err)
{
    static char line[256]; /* settings point into it */
    char *words[MAX_WORDS];
    snprintf(line, sizeof line, "x %s", typed);
    const int n = words_of(line, words);
    return moe_args_parse(args, n, words, s, err);
}

/* ---- what is understood ---- */

static void print_all(const settings *s, char *text, size_t size)
{
    size_t len = (size_t)snprintf(
        text, size, "%d %d %g %s %d %d%d%d %zu %s", s->count, s->top_k,
        s->share, colours[s->colour], s->time_s, s->force, s->quiet, s->noise,
        (size_t)s->seed, s->output != NULL ? s->output : "-");
    for (int i = 0; i < s->skews.n; i++)
        len += (size_t)snprintf(text + len, size - len, " %g", s->skews.x[i]);
    for (int i = 0; i < s->set.n; i++)
        len += (size_t)snprintf(text + len, size - len, " %s", s->set.text[i]);
}

/* count, top_k, share, colour, time_s, force quiet noise, seed, output,
 * skews, set */
static const struct {
    const char *typed, *settings;
} understood[] = {
    {"-o f", "3 2 0.5 green 0 001 1 f 1 1.5 2"},
    {"-of --count 4", "4 2 0.5 green 0 001 1 f 1 1.5 2"},
    {"--output=f --count=4", "4 2 0.5 green 0 001 1 f 1 1.5 2"},
    {"--out f --number 4", "4 2 0.5 green 0 001 1 f 1 1.5 2"},
    {"-o f --count 4 --count 5", "5 2 0.5 green 0 001 1 f 1 1.5 2"},
    {"-o f --secret 7", "7 2 0.5 green 0 001 1 f 1 1.5 2"},
    {"-o f --cou 4 --col red", "4 2 0.5 red 0 001 1 f 1 1.5 2"},
    {"-o f --top-k 8 --share .25", "3 8 0.25 green 0 001 1 f 1 1.5 2"},
    {"-fqo f", "3 2 0.5 green 0 111 1 f 1 1.5 2"},
    {"--force -q -o f --noise no", "3 2 0.5 green 0 110 1 f 1 1.5 2"},
    {"-o f --time 2:00", "3 2 0.5 green 120 001 1 f 1 1.5 2"},
    {"-o f --skews 4,3", "3 2 0.5 green 0 001 1 f 4 3"},
    {"-o f -s a=1 --set b=2", "3 2 0.5 green 0 001 1 f 1 1.5 2 a=1 b=2"},
    {"-o f --seed 18446744073709551615",
     "3 2 0.5 green 0 001 18446744073709551615 f 1 1.5 2"},
    {"-o -", "3 2 0.5 green 0 001 1 - 1 1.5 2"},
};

START_TEST(options_are_read_in_every_form)
{
    settings s = {.share = 0.5}; /* it has no default */
    moe_error err = {0};
    char text[256];
    ck_assert_msg(parse(&none_args, understood[_i].typed, &s, &err), "%s",
                  err.text);
    print_all(&s, text, sizeof text);
    ck_assert_str_eq(text, understood[_i].settings);
    ck_assert_int_eq(moe_args_end(&none_args, &s, &err), 0);
    ck_assert_int_eq(s.set.n, 0);
}
END_TEST

START_TEST(arguments_are_taken_in_order_between_options)
{
    settings s = {.count = 0};
    moe_error err = {0};
    moe_args args = with(two);
    ck_assert(parse(&args, "a --count 4 -o f b", &s, &err));
    ck_assert_str_eq(s.first, "a");
    ck_assert_str_eq(s.second, "b");
    args = with(timed);
    ck_assert(parse(&args, "-o f 3:00", &s, &err));
    ck_assert_int_eq(s.time_s, 180);
    args = with(any);
    ck_assert(parse(&args, "-o f a", &s, &err));
    ck_assert_int_eq(s.rest.n, 0);
    ck_assert(parse(&args, "a b -o f -- -c --count", &s, &err));
    ck_assert_str_eq(s.first, "a");
    ck_assert_int_eq(s.rest.n, 3);
    ck_assert_str_eq(s.rest.text[0], "b");
    ck_assert_str_eq(s.rest.text[2], "--count");
    moe_args_end(&args, &s, &err);
    ck_assert_ptr_null(s.rest.text);
}
END_TEST

START_TEST(what_was_typed_is_told_from_a_default)
{
    settings s = {.count = 0};
    moe_error err = {0};
    bool given[MOE_ARRAY_LEN(rows) + MOE_ARRAY_LEN(more)];
    moe_args args = with(NULL);
    args.given = given;
    ck_assert(parse(&args, "-o f --number 3 --top-k 2", &s, &err));
    for (size_t i = 0; i + 2 < MOE_ARRAY_LEN(given); i++) {
        const bool typed = i == 0 || i == MOE_ARRAY_LEN(rows) - 1 ||
                           i == MOE_ARRAY_LEN(rows) + 1;
        ck_assert_msg(given[i] == typed, "row %zu", i);
    }
}
END_TEST

/* ---- what is refused ---- */

static const struct {
    const char *typed, *text;
} refused[] = {
    {"-o f --wrong", "'--wrong': no such option"},
    {"-o f --wrong=3", "'--wrong=3': no such option"},
    {"-o f --coutn=3", "'--coutn=3': no such option; did you mean --count?"},
    {"-o f -x", "'-x': no such option"},
    {"-o f -fx", "'-fx': no such option"},
    {"-o f --counts 3", "'--counts': no such option; did you mean --count?"},
    {"-o f --s 3", "'--s': short for more than one option"},
    {"-o f --count", "'--count': its value is missing"},
    {"-o f --number", "'--number': its value is missing"},
    {"-o f --cou", "'--cou': its value is missing"},
    {"-o", "'-o': its value is missing"},
    {"-fo", "'-fo': its value is missing"},
    {"-o f --force=3", "'--force=3': no value is wanted"},
    {"-o f --count 0", "--count: '0' is not an integer in 1..64 tokens"},
    {"-o f --number 65", "--count: '65' is not an integer in 1..64 tokens"},
    {"-o f --count 4x", "--count: '4x' is not an integer in 1..64 tokens"},
    {"-o f --count 99999999999999999999",
     "--count: '99999999999999999999' is not an integer in 1..64 tokens"},
    {"-o f --top-k 9", "--top-k: '9' is not an integer in 1..8"},
    {"-o f --colour blue", "--colour: 'blue' is not one of red, green"},
    {"-o f --skews 1:2", "--skews: '1:2' is not a list x,y,... or "
                         "from:to:step of at most 256 numbers in 1..9"},
    {"-o f --time 90", "--time: '90' is not M:00"},
    {"-o f --noise maybe", "--noise: 'maybe' is not true or false"},
    {"-o f y", "'y': no argument is wanted"},
    {"-q", "--output is needed"},
    {"", "--output is needed"},
};

START_TEST(error_says_what_is_wrong_and_where_help_is)
{
    settings s = {.count = 0};
    moe_error err = {0};
    char text[256];
    ck_assert(!parse(&none_args, refused[_i].typed, &s, &err));
    snprintf(text, sizeof text, "%s (see moegps x --help)", refused[_i].text);
    ck_assert_str_eq(err.text, text);
    ck_assert_int_eq(err.status, MOE_USAGE);
}
END_TEST

static const struct {
    const moe_opt *arguments;
    const char *typed, *text;
} refused_arguments[] = {
    {two, "-o f", "A.h5 and B.h5 are needed"},
    {two, "-o f a", "B.h5 is needed"},
    {two, "", "--output, A.h5 and B.h5 are needed"},
    {two, "a b c", "'c': only A.h5 and B.h5 are wanted"},
    {any, "-o f", "A.h5 is needed"},
    {timed, "1:00 2:00", "'2:00': only TIME is wanted"},
    {timed, "1:30", "TIME: '1:30' is not M:00"},
};

START_TEST(missing_and_extra_arguments_are_named)
{
    settings s = {.count = 0};
    moe_error err = {0};
    const moe_args args = with(refused_arguments[_i].arguments);
    ck_assert(!parse(&args, refused_arguments[_i].typed, &s, &err));
    const char *text = refused_arguments[_i].text;
    ck_assert_msg(strncmp(err.text, text, strlen(text)) == 0, "%s", err.text);
}
END_TEST

/* ---- what is told ---- */

/* What a parse prints on stdout; owned by the caller. */
static char *printed(const moe_args *args, const char *typed)
{
    settings s = {.count = 0};
    moe_error err = {0};
    char path[300], *text = NULL;
    snprintf(path, sizeof path, "%s/printed", test_dir);
    fflush(stdout);
    const int keep = dup(STDOUT_FILENO);
    ck_assert_ptr_nonnull(freopen(path, "w", stdout));
    const bool go_on = parse(args, typed, &s, &err);
    fflush(stdout);
    dup2(keep, STDOUT_FILENO);
    close(keep);
    ck_assert(!go_on);
    ck_assert_int_eq(err.status, MOE_OK);
    ck_assert_int_eq(moe_args_end(args, &s, &err), 0);
    ck_assert_int_eq(moe_read_text(path, &text, &err), MOE_OK);
    return text;
}

static const char *const helps[] = {"-h", "--help", "-?", "--count 4 --help",
                                    "--he"};

START_TEST(help_is_made_of_the_rows)
{
    static const char *const wanted[] = {
        "Usage: moegps x [OPTION...] --output=FILE A.h5 B.h5\n",
        "Do x.",
        "--count=N",
        "of things, in tokens; default 3\n",
        "of them; default: what is left\n",
        "--colour=red|green ",
        "of all; default green\n",
        "to look at; default 1:2:0.5\n",
        "-s, --set=KEY=VALUE",
        "-f, --force",
        "--top-k=N",
        "--noise=yes|no",
        "what is made; required\n",
        "--time=M:00",
        "-h, --help",
        "-V, --version",
    };
    static const char *const hidden[] = {"number", "secret", "--out=",   "-?",
                                         "top_k",  "false",  "Mandatory"};
    const moe_args args = with(two);
    char *text = printed(&args, helps[_i]);
    for (size_t i = 0; i < MOE_ARRAY_LEN(wanted); i++)
        ck_assert_msg(strstr(text, wanted[i]) != NULL, "%s not in\n%s",
                      wanted[i], text);
    for (size_t i = 0; i < MOE_ARRAY_LEN(hidden); i++)
        ck_assert_msg(strstr(text, hidden[i]) == NULL, "%s in\n%s", hidden[i],
                      text);
    free(text);
}
END_TEST

START_TEST(version_is_the_build)
{
    char *text = printed(&none_args, "-V");
    ck_assert_str_eq(text, "moegps " MOE_VERSION "\n");
    free(text);
    text = printed(&none_args, "--version");
    ck_assert_str_eq(text, "moegps " MOE_VERSION "\n");
    free(text);
}
END_TEST

START_TEST(line_is_what_was_typed)
{
    char line[] = "x -o f --count=4";
    char *words[MAX_WORDS];
    char *text = moe_args_line(&none_args, words_of(line, words), words);
    ck_assert_str_eq(text, "moegps x -o f --count=4");
    free(text);
}
END_TEST

START_TEST(silent_rank_answers_without_printing)
{
    moe_args args = with(NULL);
    args.silent = true;
    char *text = printed(&args, "--help");
    ck_assert_str_eq(text, "");
    free(text);
}
END_TEST

START_TEST(end_returns_the_exit_code_of_the_error)
{
    settings s = {.count = 0};
    moe_error err = {0};
    ck_assert_int_eq(moe_args_end(&none_args, &s, &err), 0);
    moe_fail(&err, MOE_THRESHOLD, "missed");
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
    ck_assert_int_eq(moe_args_end(&none_args, &s, &err), 4);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("args");
    MOE_TEST_LOOP(suite, options_are_read_in_every_form,
                  MOE_ARRAY_LEN(understood));
    MOE_TEST(suite, arguments_are_taken_in_order_between_options);
    MOE_TEST(suite, what_was_typed_is_told_from_a_default);
    MOE_TEST_LOOP(suite, error_says_what_is_wrong_and_where_help_is,
                  MOE_ARRAY_LEN(refused));
    MOE_TEST_LOOP(suite, missing_and_extra_arguments_are_named,
                  MOE_ARRAY_LEN(refused_arguments));
    MOE_TEST_LOOP(suite, help_is_made_of_the_rows, MOE_ARRAY_LEN(helps));
    MOE_TEST(suite, version_is_the_build);
    MOE_TEST(suite, line_is_what_was_typed);
    MOE_TEST(suite, silent_rank_answers_without_printing);
    MOE_TEST(suite, end_returns_the_exit_code_of_the_error);
    return suite;
}
