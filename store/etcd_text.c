/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of requests to etcd's JSON gateway. They are built by appending: they are short, flat, and
 * made of parts that were checked, so a tree would only cost. Bytes are base64 (RFC 4648, padded), as
 * jsonpb wants them.
 */
#include "store/etcd_text.h"

#include <string.h>

#include "lib/mem.h"

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
