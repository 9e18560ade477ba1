/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The log of an executable: one line per event on stderr and, when asked for, appended to a file
 * (0600). lib/ and ipam/ do not log; stdout is never touched. Control characters are replaced.
 */
#include <stdint.h>

#include "lib/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* name: of the executable, borrowed for ever. Level warning, stderr, until set otherwise. */
void log_init(const char *name);
int log_parse_level(const char *s, enum log_level *out); /* error, warning, info, debug; -EINVAL */
void log_set_level(enum log_level level);
/* Appends to path as well. A file of max_bytes or more (0: no limit) becomes PATH.1 first, in the
 * place of an older one. */
int log_open_file(const char *path, uint64_t max_bytes, struct err *e);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
