/** model_config.h: Hugging Face configs as model profiles. */
#ifndef MOEGPS_MODEL_CONFIG_H
#define MOEGPS_MODEL_CONFIG_H

#include <stdbool.h>

#include "moegps/status.h"

/** @return whether a text is JSON, which no profile is. */
bool moe_model_is_config(const char *text);

/** @return the profile that says the same, to be freed; each line names the
 *  key that it was read from. NULL with MOE_FORMAT, MOE_NOMEM. */
char *moe_model_config_profile(const char *text, const char *path,
                               moe_error *err);

#endif
