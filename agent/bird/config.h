/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The texts that BIRD reads. Pure: the same value gives the same bytes. No text of strangers gets
 * here but through fields of known alphabets (addresses, numbers) and passwords, which are quoted
 * and checked. docs/ROUTING.md says why each line is there.
 */
#include "agent/bird/want.h"

/* The text of our file, on the heap; the caller frees it. */
char *bird_config_text(const struct bird_want *w);

/* A small main configuration that includes files, for `configure check` and as a model for
 * /etc/bird/bird.conf: device protocol, our file if it is there, the operator's folder. */
char *bird_config_main(const char *our_file, const char *include_dir);
