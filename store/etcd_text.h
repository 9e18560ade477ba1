/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The text of requests to etcd's JSON gateway. Pure.
 */
#include <stddef.h>

#include "lib/text.h"
#include "store/store.h"

/* Base64 of the largest document: a longer string of an answer is cut (store/sieve.h). */
#define ETCD_STRING_MAX ((size_t)4 * ((STORE_VALUE_MAX + 2) / 3))

/* Members and values of a request, added to a growing text. */
void etcd_add_base64(struct text *t, const char *bytes, size_t len); /* with its quotes */
void etcd_add_quoted(struct text *t, const char *s);		     /* any UTF-8 text */

/* The range of every key that begins with prefix, as members "key" and "range_end"; from: where
 * it begins instead (a page), NULL: at the prefix. */
void etcd_add_range(struct text *t, const char *prefix, const struct text *from);
