/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What every command prints with: text made safe for a terminal, numbers of IPv6's size, owners as
 * a phrase, JSON documents, errors. Results go to stdout, errors and remarks to stderr.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "ipam/owner.h"
#include "lib/err.h"
#include "lib/owned.h"

/* As text_clean(), and also what is no UTF-8 or changes the direction or line of the
 * text becomes '?'. */
void output_clean(char *dst, size_t size, const char *src);

/* "64", "2^80" and the like: powers of two beyond a million, "~2^48" near one, "2^64+" saturated.
 */
#define OUTPUT_NUMBER 24
void output_number(uint64_t v, char out[OUTPUT_NUMBER]);

/* "4.7%", "<0.1%", "0%", "100%" only when all of it. */
void output_percent(uint64_t part, uint64_t whole, char out[OUTPUT_NUMBER]);

/* "pod default/web (network lan, container 0123456789ab, eth0)", clean. */
#define OUTPUT_OWNER 400
void output_owner(const struct owner *o, char out[OUTPUT_OWNER]);
void output_label(const struct owned_label *l, char out[OUTPUT_OWNER]);

/* "1 block", "2 blocks". */
void output_count(uint64_t n, const char *one, const char *many, char out[64]);

/* Prints the document on stdout as ASCII, control characters escaped, and gives it back. */
void output_json(json_t *owned);

/* "roostctl: sentence", and the details on a line of their own. Return 1, the exit status. */
int output_error(const struct err *e);
int output_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
