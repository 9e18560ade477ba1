/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Building text, in a fixed buffer that is never overflowed or on the heap, where it grows; and the
 * checks that names from strangers must pass before they are printed or used.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: an empty text that grows on the heap; its owner calls text_free() or text_take(). With a
 * buffer (TEXT_ON()): what does not fit is cut off. */
struct text {
	char *buf;   /* terminated; NULL while a growing text has never been added to */
	size_t size; /* of buf, bytes; at least 1 in a fixed buffer */
	size_t len;  /* without the terminator */
	bool cut;    /* something did not fit; never in a growing text */
	bool grows;  /* buf is on the heap; set by the first addition */
};

#define TEXT_ON(array)                                                                             \
	{                                                                                          \
		.buf = (array), .size = sizeof(array)                                              \
	}

void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void text_add_char(struct text *t, char c);
void text_add_bytes(struct text *t, const char *bytes, size_t len); /* NUL bytes too */

/* Growing texts: makes room for len more bytes behind the end. The caller writes them there, adds to
 * t->len what it wrote, and terminates. */
char *text_reserve(struct text *t, size_t len);

/* Takes the first len bytes away, as when they were written to somebody. */
void text_drop(struct text *t, size_t len);

/* The text of a growing one, "" when nothing was added; the caller frees it. Leaves t empty. */
char *text_take(struct text *t);

/* Frees a growing text and leaves it empty. */
void text_free(struct text *t);
#define CLEANUP_TEXT __attribute__((cleanup(text_free)))

/* Copies src, cutting what does not fit; dst is always terminated. Returns false when cut. */
bool text_copy(char *dst, size_t size, const char *src);

/* As text_copy, with every control character (C0, DEL, and C1 as UTF-8) as '?', so that a name
 * can be shown on a terminal. */
bool text_clean(char *dst, size_t size, const char *src);

bool text_is_alnum(char c); /* a-z, A-Z, 0-9, whatever the locale */

/* Whether s is ^[a-zA-Z0-9][a-zA-Z0-9_.-]*$, the CNI form of container ids and network names. */
bool text_is_name(const char *s);

/* Whether s is a DNS subdomain in lower case, what Kubernetes takes as a name, of 253 bytes at most. It
 * holds nothing that has a meaning in a path, in a key, in BIRD's language or on a terminal. */
#define TEXT_DNS_NAME 254 /* bytes of one, NUL included */
bool text_is_dns_name(const char *s);

/* Whether s can name a network interface: 1 to 15 bytes, not "." or "..", no '/', ':', '%',
 * white space or control character (dev_valid_name() in net/core/dev.c, and '%', which the
 * kernel expands). */
bool text_is_ifname(const char *s);

/* The UTF-8 sequence at s: its length in bytes and code point; 0 when it is none (RFC 3629: the shortest
 * form, no surrogates, nothing beyond 10FFFF). */
size_t text_utf8(const char *s, uint32_t *out);

/* How many bytes at the beginning are a byte order mark of UTF-8, which editors of Windows write: 3 or 0. */
size_t text_byte_order_mark(const char *bytes, size_t len);

/* Where s stands among n words (or until a NULL); -1: nowhere. */
int text_index(const char *s, const char *const words[], size_t n);
#define TEXT_INDEX(s, words) text_index(s, words, sizeof(words) / sizeof((words)[0]))

/* The value of a hexadecimal digit of either case, or -1. */
int text_hex_digit(char c);
