/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <openssl/evp.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/palette.h"

/* Lines of page.css and page.js, which the Makefile writes. */
static const char *const style[] = {
#include "page_css.h"
};
static const char *const script[] = {
#include "page_js.h"
};

/* Colours --c0, --c1, ... of figures, in the light and in the dark. */
static void put_palette(FILE *out)
{
    fputs(":root{", out);
    for (int i = 0; i < MOE_N_COLOURS; i++)
        fprintf(out, "--c%d:#%06x;", i, (unsigned)moe_palette[i].light);
    fputs("}\n@media(prefers-color-scheme:dark){:root{", out);
    for (int i = 0; i < MOE_N_COLOURS; i++)
        fprintf(out, "--c%d:#%06x;", i, (unsigned)moe_palette[i].dark);
    fputs("}}\n", out);
}

void moe_page_style(FILE *out)
{
    put_palette(out);
    for (size_t i = 0; i < MOE_ARRAY_LEN(style); i++)
        fputs(style[i], out);
}

void moe_page_script(FILE *out)
{
    for (size_t i = 0; i < MOE_ARRAY_LEN(script); i++)
        fputs(script[i], out);
}

void moe_page_script_digest(FILE *out)
{
    unsigned char digest[EVP_MAX_MD_SIZE], base64[2 * EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; i < MOE_ARRAY_LEN(script) && ok; i++)
        ok = EVP_DigestUpdate(md, script[i], strlen(script[i])) == 1;
    if (ok && EVP_DigestFinal_ex(md, digest, &n) == 1) {
        EVP_EncodeBlock(base64, digest, (int)n);
        fprintf(out, "sha256-%s", (const char *)base64);
    }
    EVP_MD_CTX_free(md);
}
