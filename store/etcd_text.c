/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of requests to etcd's JSON gateway, and the sieve that answers go through. Requests are
 * built by appending: they are short, flat, and made of parts that were checked, so a tree would
 * only cost. Bytes are base64 (RFC 4648, padded), as jsonpb wants them.
 *
 * The sieve is what bounds the memory that a stranger's document can cost: etcd itself refuses
 * requests of more than 1.5 MiB, but that is a flag of the server. It only has to know whether it
 * stands inside a string, so it works on any part of an answer as it arrives.
 */
#include "store/etcd_text.h"

#include <string.h>

#include "lib/mem.h"
#include "store/store.h"

#define STRING_MAX ((size_t)4 * ((STORE_VALUE_MAX + 2) / 3)) /* base64 of the largest document */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void etcd_add_base64(struct text *t, const char *bytes, size_t len)
{
	const unsigned char *in = (const unsigned char *)bytes;
	char *out = text_reserve(t, 4 * ((len + 2) / 3) + 2);
	*out++ = '"';
	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		unsigned int v = (unsigned int)in[i] << 16 |
				 (left > 1 ? (unsigned int)in[i + 1] << 8 : 0) |
				 (left > 2 ? (unsigned int)in[i + 2] : 0);
		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = left > 1 ? digits[v >> 6 & 63] : '=';
		*out++ = left > 2 ? digits[v & 63] : '=';
	}
	*out++ = '"';
	*out = '\0';
	t->len = (size_t)(out - t->buf);
}

void etcd_add_quoted(struct text *t, const char *s)
{
	text_add_char(t, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\' || (unsigned char)*s < 0x20)
			text_add(t, "\\u%04x", (unsigned int)(unsigned char)*s);
		else
			text_add_char(t, *s);
	}
	text_add_char(t, '"');
}

void etcd_add_range(struct text *t, const char *prefix, const struct text *from)
{
	size_t len = strlen(prefix);
	text_add(t, "\"key\":");
	etcd_add_base64(t, from ? from->buf : prefix, from ? from->len : len);
	CLEANUP_FREE char *end = mem_strdup(prefix);
	end[len - 1]++; /* prefixes are not empty, and ASCII: there is a next one */
	text_add(t, ",\"range_end\":");
	etcd_add_base64(t, end, len);
}

size_t etcd_sieve(struct etcd_sieve *s, const char *in, size_t len, char *out)
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
			keep = s->string_len < STRING_MAX;
			if (s->string_len == STRING_MAX) {
				out[n++] = ETCD_CUT;
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
