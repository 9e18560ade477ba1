/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sieve that answers go through. It is what bounds the memory that a stranger's document can
 * cost: etcd itself refuses requests of more than 1.5 MiB, but that is a flag of the server. It only
 * has to know whether it stands inside a string, so it works on any part of an answer as it arrives.
 */
#include "store/sieve.h"

size_t sieve_copy(struct sieve *s, const char *in, size_t len, char *out)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		char c = in[i];
		bool keep = true;
		if (!s->in_string) {
			s->in_string = c == '"';
			s->string_len = 0;
		} else if (c == '"' && !s->escaped) {
			s->in_string = false;
		} else {
			s->escaped = c == '\\' && !s->escaped;
			keep = s->string_len < s->max;
			if (s->string_len == s->max) {
				out[n++] = SIEVE_CUT;
				s->string_len++;
			} else if (keep) {
				s->string_len++;
			}
		}
		if (keep)
			out[n++] = c;
	}
	return n;
}
