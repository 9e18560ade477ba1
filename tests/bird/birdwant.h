/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A struct bird_want from a JSON description, for golden tests and for birdtool. Keys are the names
 * of the fields in camel case; what is absent is zero, an unknown key ends the process.
 */
#include <jansson.h>

#include "agent/bird/want.h"

struct birdwant {
	struct bird_want want;
	void **memory; /* what the arrays are made of */
	size_t n_memory, memory_room;
};

/* doc is borrowed for the call. */
struct birdwant *birdwant_new(const json_t *doc);
void birdwant_free(struct birdwant *b); /* takes NULL */
