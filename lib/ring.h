/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The last things that happened, for who asks later: a bounded list of documents, of which alike ones are one, with how
 * often and when. Kinds are words ("denied"), keys are their owners'.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/hash.h"

struct ring;
struct ring *ring_new(
	size_t room); /* things at most; the one that happened last the longest ago makes room */
void ring_free(struct ring *r); /* takes NULL */

/* It happened again, n times. false: it is not there (any more). */
bool ring_again(struct ring *r, const struct hash *key, uint64_t n, int64_t wall_s);
/* It happened, n times. kind: a literal. what: an object, taken over. */
void ring_add(struct ring *r, const struct hash *key, const char *kind, json_t *what, uint64_t n,
	int64_t wall_s);

/* What happened of a kind after a number of before (0: all), the latest last; and the number to ask with next. An
 * entry is what it was added with, and kind, count, first, last (as boot_format_time() writes). The caller's. */
json_t *ring_list(const struct ring *r, const char *kind, uint64_t after);
uint64_t ring_number(const struct ring *r);
