/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Text of any length for etcd's JSON gateway: the requests, and answers as they arrive. Pure.
 */
#include <stdbool.h>
#include <stddef.h>

/* Text that grows. Zeroed: empty. Always terminated once something was added. */
struct etcd_text {
	char *p;
	size_t len, room;
};
void etcd_text_free(struct etcd_text *t); /* leaves an empty one */
void etcd_add(struct etcd_text *t, const char *bytes, size_t len);
void etcd_addf(struct etcd_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void etcd_add_base64(struct etcd_text *t, const char *bytes, size_t len); /* with its quotes */
void etcd_add_quoted(struct etcd_text *t, const char *s);		  /* any UTF-8 text */

/* The range of every key that begins with prefix, as members "key" and "range_end"; from: where
 * it begins instead (a page), NULL: at the prefix. */
void etcd_add_range(struct etcd_text *t, const char *prefix, const struct etcd_text *from);

/* Copies what was received, leaving out the rest of strings that are longer than a document may
 * be, so that a hostile document costs bounded memory. Such a string has ETCD_CUT at its end,
 * which is no base64. out has room for len bytes. Returns how many were written. */
#define ETCD_CUT '!'
struct etcd_sieve {
	bool in_string, escaped;
	size_t string_len;
};
size_t etcd_sieve(struct etcd_sieve *s, const char *in, size_t len, char *out);
