/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"

#include <argp.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apart.h"
#include "moegps/mem.h"
#include "moegps/text.h"
#include "version.h"

/* Keys of rows begin above the characters of short options. '?' is what -h
 * was once; getopt reports its own errors by the same character, and argp
 * tells the two apart. */
enum { FIRST_KEY = 256, KEY_HELP = 'h', KEY_OLD_HELP = '?', KEY_VERSION = 'V' };
enum { MAX_NAME = 40, MAX_FORM = 64, MAX_NAMES = 256, N_COMMON = 3 };

/* What a parse knows. */
typedef struct {
    const moe_args *args;
    void *settings;
    moe_error err;
    const moe_opt *row[MOE_ARGS_MAX_ROWS];
    char name[MOE_ARGS_MAX_ROWS][MAX_NAME]; /* as typed: "--top-k" */
    char form[MOE_ARGS_MAX_ROWS][MAX_FORM]; /* of its value; "": none */
    bool given[MOE_ARGS_MAX_ROWS];
    int n_rows, n_arguments; /* rows there are, arguments taken */
    struct argp_option option[2 * MOE_ARGS_MAX_ROWS + N_COMMON + 1];
    int next;  /* argv index behind the last word that was understood */
    bool told; /* --help or --version was answered */
} session;

/* ---- the rows, as argp wants them ---- */

/* A switch is off unless it is typed, and takes no value. */
static bool is_switch(const moe_opt *row)
{
    return row->type == MOE_OPT_BOOL && row->initial != NULL &&
           strcmp(row->initial, "false") == 0;
}

static void write_form(const moe_opt *row, char *form)
{
    static const char *const by_type[] = {
        [MOE_OPT_INT] = "N",        [MOE_OPT_U64] = "N",
        [MOE_OPT_REAL] = "X",       [MOE_OPT_BOOL] = "yes|no",
        [MOE_OPT_TEXT] = "TEXT",    [MOE_OPT_ENUM] = "",
        [MOE_OPT_REALS] = "LIST",   [MOE_OPT_STRING] = "TEXT",
        [MOE_OPT_STRINGS] = "TEXT", [MOE_OPT_CALL] = "TEXT"};
    if (!is_switch(row))
        snprintf(form, MAX_FORM, "%s",
                 row->form != NULL ? row->form : by_type[row->type]);
    for (int i = 0; row->type == MOE_OPT_ENUM && row->choices[i] != NULL; i++)
        moe_text_add(form, MAX_FORM, "|", "%s", row->choices[i]);
}

static void add_rows(session *s, const moe_opt *rows)
{
    for (const moe_opt *row = rows; row != NULL && row->key != NULL; row++) {
        assert(s->n_rows < MOE_ARGS_MAX_ROWS);
        char *name = s->name[s->n_rows];
        snprintf(name, MAX_NAME, "--%s", row->key);
        for (char *c = name; *c != '\0'; c++)
            *c = *c == '_' ? '-' : *c;
        write_form(row, s->form[s->n_rows]);
        s->row[s->n_rows++] = row;
    }
}

static int key_of(const session *s, int i)
{
    return s->row[i]->letter != 0 ? s->row[i]->letter : FIRST_KEY + i;
}

static void make_options(session *s)
{
    struct argp_option *to = s->option;
    for (int i = 0; i < s->n_rows; i++) {
        const moe_opt *row = s->row[i];
        *to++ = (struct argp_option){
            .name = s->name[i] + 2,
            .key = key_of(s, i),
            .arg = s->form[i][0] != '\0' ? s->form[i] : NULL,
            .flags = row->help == NULL ? OPTION_HIDDEN : 0};
        if (row->alias != NULL)
            *to++ = (struct argp_option){.name = row->alias,
                                         .flags = OPTION_ALIAS | OPTION_HIDDEN};
    }
    *to++ = (struct argp_option){.name = "help", .key = KEY_HELP};
    *to++ = (struct argp_option){.key = KEY_OLD_HELP,
                                 .flags = OPTION_ALIAS | OPTION_HIDDEN};
    *to++ = (struct argp_option){.name = "version", .key = KEY_VERSION};
}

/* ---- --help ---- */

/* Everything about a row in words; owned by the caller. */
static char *describe(const moe_opt *row)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    fputs(row->help, out);
    if (row->unit != NULL && strcmp(row->unit, "1") != 0)
        fprintf(out, ", in %s", row->unit);
    if (row->initial == NULL)
        fputs("; required", out);
    else if (*row->initial != '\0' && !is_switch(row))
        fprintf(out, "; default %s",
                row->type == MOE_OPT_BOOL ? "yes" : row->initial);
    fclose(out);
    return text;
}

/* What must follow the command's name, and its arguments. */
static void describe_usage(const session *s, char *text, size_t size)
{
    text[0] = '\0';
    for (int i = 0; i < s->n_rows; i++)
        if (s->row[i]->initial == NULL)
            moe_text_add(text, size, " ", "%s=%s", s->name[i], s->form[i]);
    const moe_opt *a = s->args->arguments;
    for (; a != NULL && a->key != NULL; a++)
        moe_text_add(text, size, " ", "%s%s", a->key,
                     a->type == MOE_OPT_STRINGS ? "..." : "");
}

/* Print an option, and beside it what it means. argp would do so, too, but
 * begins a line in disorder behind one that ends just at its margin. */
static void print_option(char letter, const char *name, const char *form,
                         const char *text)
{
    enum { BESIDE = 29, WIDTH = 79 };
    int at = letter != 0 ? printf("  -%c, %s", letter, name)
                         : printf("      %s", name);
    if (form[0] != '\0')
        at += printf("=%s", form);
    if (at >= BESIDE - 1)
        at = WIDTH; /* what it means begins on the next line */
    else
        at += printf("%*s", BESIDE - at, "");
    while (text != NULL && *text != '\0') {
        const int len = (int)strcspn(text, " ");
        if (at > BESIDE && at + 1 + len > WIDTH)
            at = printf("\n%*s", BESIDE, "") - 1;
        else if (at > BESIDE)
            at += printf(" ");
        at += printf("%.*s", len, text);
        text += len + (text[len] != '\0');
    }
    putchar('\n');
}

static void tell_help(session *s, struct argp_state *state)
{
    char name[MAX_NAME]; /* argp wants it writable */
    snprintf(name, sizeof name, "%s", s->args->name);
    state->name = name;
    state->flags &= ~(unsigned)ARGP_NO_ERRS; /* else nothing is printed */
    argp_state_help(state, stdout, ARGP_HELP_SHORT_USAGE | ARGP_HELP_PRE_DOC);
    putchar('\n');
    for (int i = 0; i < s->n_rows; i++) {
        const moe_opt *row = s->row[i];
        if (row->help == NULL)
            continue;
        char *text = describe(row);
        print_option((char)row->letter, s->name[i], s->form[i], text);
        free(text);
    }
    print_option(KEY_HELP, "--help", "", "print this help");
    print_option(KEY_VERSION, "--version", "", "print the version");
    if (s->args->example != NULL)
        printf("\nExample: %s\n", s->args->example);
}

static void tell(session *s, int key, struct argp_state *state)
{
    s->told = true;
    if (s->args->silent)
        return;
    if (key == KEY_VERSION)
        puts("moegps " MOE_VERSION);
    else
        tell_help(s, state);
}

/* ---- what is typed ---- */

static void list_names(const char *const *names, int n, char *text, size_t size)
{
    text[0] = '\0';
    for (int i = 0; i < n; i++)
        moe_text_add(text, size, i == n - 1 ? " and " : ", ", "%s", names[i]);
}

static void refuse_argument(session *s, const char *word)
{
    const char *names[8];
    char wanted[MAX_NAMES];
    const moe_opt *a = s->args->arguments;
    int n = 0;
    for (; a != NULL && a->key != NULL && n < 8; a++)
        names[n++] = a->key;
    list_names(names, n, wanted, sizeof wanted);
    if (n == 0)
        moe_fail(&s->err, MOE_USAGE, "'%s': no argument is wanted", word);
    else
        moe_fail(&s->err, MOE_USAGE, "'%s': only %s %s wanted", word, wanted,
                 n == 1 ? "is" : "are");
}

static void take_argument(session *s, const char *word)
{
    const moe_opt *row = s->args->arguments;
    for (int left = s->n_arguments++;
         left > 0 && row != NULL && row->key != NULL &&
         row->type != MOE_OPT_STRINGS;
         left--)
        row++;
    if (row == NULL || row->key == NULL)
        refuse_argument(s, word);
    else
        moe_opt_parse(row, word, s->settings, &s->err);
}

/* argp's `int` says error_t. A non-zero value ends the parsing. */
static error_t take(int key, char *word, struct argp_state *state)
{
    session *s = state->input;
    int i = 0;
    while (i < s->n_rows && key_of(s, i) != key)
        i++;
    if (key == KEY_HELP || key == KEY_OLD_HELP || key == KEY_VERSION) {
        tell(s, key, state);
        return ECANCELED;
    }
    if (key != ARGP_KEY_ARG && i == s->n_rows)
        return ARGP_ERR_UNKNOWN;
    s->next = state->next;
    if (key == ARGP_KEY_ARG) {
        take_argument(s, word);
    } else {
        moe_opt row = *s->row[i];
        row.key = s->name[i]; /* as it is called in an error */
        s->given[i] = true;
        moe_opt_parse(&row, word != NULL ? word : "true", s->settings, &s->err);
    }
    return s->err.status == MOE_OK ? 0 : EINVAL;
}

/* ---- what is wrong ---- */

/* @return whether a long option, cut after `len` characters, is this word. */
static bool begins(const char *name, const char *word, size_t len)
{
    return name != NULL && strncmp(name, word, len) == 0;
}

/* argp does not say what it did not like. A long option may be cut short, as
 * long as it means one row. */
static const char *blame_long(const session *s, const char *word)
{
    const size_t len = strcspn(word, "=");
    const moe_opt *found = NULL;
    int n = 0;
    for (int i = 0; i < s->n_rows; i++) {
        const bool is = begins(s->name[i] + 2, word, len) ||
                        begins(s->row[i]->alias, word, len);
        found = is ? s->row[i] : found;
        n += is;
        if (is && s->name[i][2 + len] == '\0') {
            n = 1;
            break;
        }
    }
    if (n == 0)
        return "no such option";
    if (n > 1)
        return "short for more than one option";
    return is_switch(found) ? "no value is wanted" : "its value is missing";
}

/* Switches may be joined: blame the letter that is not one of them. */
static const char *blame_letters(const session *s, const char *letters)
{
    for (; *letters != '\0'; letters++) {
        int i = 0;
        while (i < s->n_rows && s->row[i]->letter != *letters)
            i++;
        if (i == s->n_rows)
            return "no such option";
        if (!is_switch(s->row[i]))
            return "its value is missing";
    }
    return "no such option";
}

static void blame(session *s, const char *word)
{
    const bool is_long = strncmp(word, "--", 2) == 0;
    moe_nearest meant = {.word = word, .len = strcspn(word, "=")};
    for (int i = 0; i < s->n_rows && is_long; i++)
        if (s->row[i]->help != NULL)
            moe_nearest_try(&meant, s->name[i]);
    const char *what =
        is_long ? blame_long(s, word + 2) : blame_letters(s, word + 1);
    if (meant.name != NULL && meant.mistakes > 0)
        moe_fail(&s->err, MOE_USAGE, "'%s': %s; did you mean %s?", word, what,
                 meant.name);
    else
        moe_fail(&s->err, MOE_USAGE, "'%s': %s", word, what);
}

static void check_required(session *s)
{
    const char *missing[MOE_ARGS_MAX_ROWS];
    char text[MAX_NAMES];
    int n = 0, left = s->n_arguments;
    for (int i = 0; i < s->n_rows; i++)
        if (s->row[i]->initial == NULL && !s->given[i])
            missing[n++] = s->name[i];
    const moe_opt *a = s->args->arguments;
    for (; a != NULL && a->key != NULL && n < MOE_ARGS_MAX_ROWS; a++)
        if (left-- <= 0 && a->initial == NULL)
            missing[n++] = a->key;
    list_names(missing, n, text, sizeof text);
    if (n > 0)
        moe_fail(&s->err, MOE_USAGE, "%s %s needed", text,
                 n == 1 ? "is" : "are");
}

/* ---- the parse ---- */

bool moe_args_parse(const moe_args *args, int argc, char **argv, void *settings,
                    moe_error *err)
{
    char usage[512];
    session s = {.args = args, .settings = settings, .next = 1};
    add_rows(&s, args->rows);
    add_rows(&s, args->more);
    make_options(&s);
    moe_opt_defaults(args->rows, settings);
    moe_opt_defaults(args->more, settings);
    moe_opt_defaults(args->arguments, settings);
    describe_usage(&s, usage, sizeof usage);
    const struct argp argp = {.options = s.option,
                              .parser = take,
                              .args_doc = usage[0] != '\0' ? usage : NULL,
                              .doc = args->help};
    /* argp would print several lines and exit; its own --help does so too. */
    const unsigned flags = ARGP_NO_ERRS | ARGP_NO_HELP | ARGP_IN_ORDER;
    const error_t rc = argp_parse(&argp, argc, argv, flags, NULL, &s);
    if (args->given != NULL)
        memcpy(args->given, s.given, (size_t)s.n_rows * sizeof *s.given);
    if (s.told)
        return false;
    if (rc != 0 && s.err.status == MOE_OK)
        blame(&s, s.next < argc ? argv[s.next] : "");
    if (s.err.status == MOE_OK)
        check_required(&s);
    if (s.err.status == MOE_OK)
        moe_apart_check(args, settings, &s.err);
    if (s.err.status == MOE_OK)
        return true;
    moe_fail(err, s.err.status, "%s (see %s --help)", s.err.text, args->name);
    return false;
}

int moe_args_end(const moe_args *args, void *settings, const moe_error *err)
{
    moe_opt_release(args->rows, settings);
    moe_opt_release(args->more, settings);
    moe_opt_release(args->arguments, settings);
    if (err->status != MOE_OK)
        fprintf(stderr, "moegps: %s\n", err->text);
    return moe_status_exit_code(err->status);
}

char *moe_args_line(const moe_args *args, int argc, char **argv)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    fputs(args->name, out);
    for (int i = 1; i < argc; i++)
        fprintf(out, " %s", argv[i]);
    fclose(out);
    return text;
}
