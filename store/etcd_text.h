/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The text of requests to etcd's JSON gateway, and of answers as they arrive. Pure.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/text.h"

/* Members and values of a request, added to a growing text. */
void etcd_add_base64(struct text *t, const char *bytes, size_t len); /* with its quotes */
void etcd_add_quoted(struct text *t, const char *s);		     /* any UTF-8 text */

/* The range of every key that begins with prefix, as members "key" and "range_end"; from: where
 * it begins instead (a page), NULL: at the prefix. */
void etcd_add_range(struct text *t, const char *prefix, const struct text *from);

/* Copies what was received, leaving out the rest of strings that are longer than a document may
 * be, so that a hostile document costs bounded memory. Such a string has ETCD_CUT at its end,
 * which is no base64. out has room for len bytes. Returns how many were written. */
#define ETCD_CUT '!'
struct etcd_sieve {
	bool in_string, escaped;
	size_t string_len;
};
size_t etcd_sieve(struct etcd_sieve *s, const char *in, size_t len, char *out);
