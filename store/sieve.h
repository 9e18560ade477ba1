/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Copies JSON as it arrives, leaving out the rest of strings that are too long, so that a hostile
 * document costs bounded memory. Pure.
 */
#include <stdbool.h>
#include <stddef.h>

/* max: bytes of a string that are kept; zero the rest. A string that was cut has SIEVE_CUT at its end,
 * which is no base64. out has room for len bytes. Returns how many were written. */
#define SIEVE_CUT '!'
struct sieve {
	size_t max;
	bool in_string, escaped;
	size_t string_len;
};
size_t sieve_copy(struct sieve *s, const char *in, size_t len, char *out);
