/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that is built piece by piece, and what names from outside must look like. The checks are
 * byte-wise and know no locale: a container id is ASCII by the CNI specification, an interface name
 * is whatever the kernel takes less what would be a trap on a terminal or in a path.
 */
#include "lib/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

/* How many of len more bytes there is room for, beside the terminator. */
static size_t make_room(struct text *t, size_t len)
{
	t->grows |= t->size == 0;
	if (t->grows)
		t->buf = mem_grow(t->buf, &t->size, t->len + len, 1);
	return t->size - t->len - 1 < len ? t->size - t->len - 1 : len;
}

void text_add_bytes(struct text *t, const char *bytes, size_t len)
{
	size_t fits = make_room(t, len);
	if (fits)
		memcpy(t->buf + t->len, bytes, fits);
	t->len += fits;
	t->buf[t->len] = '\0';
	t->cut |= fits < len;
}

void text_add(struct text *t, const char *fmt, ...)
{
	va_list args;
	va_list again;
	va_start(args, fmt);
	va_copy(again, args);
	(void)make_room(t, 0);
	size_t room = t->size - t->len;
	int n = vsnprintf(t->buf + t->len, room, fmt, args);
	size_t len = n < 0 ? 0 : (size_t)n;
	size_t fits = make_room(t, len);
	if (len >= room && fits == len) /* it has grown meanwhile */
		(void)vsnprintf(t->buf + t->len, len + 1, fmt, again);
	va_end(args);
	va_end(again);
	t->len += fits;
	t->cut |= fits < len;
}

void text_add_char(struct text *t, char c)
{
	text_add_bytes(t, &c, 1);
}

char *text_reserve(struct text *t, size_t len)
{
	(void)make_room(t, len);
	return t->buf + t->len;
}

void text_drop(struct text *t, size_t len)
{
	if (len)
		memmove(t->buf, t->buf + len, t->len - len + 1);
	t->len -= len;
}

char *text_take(struct text *t)
{
	text_add_bytes(t, "", 0);
	char *buf = t->buf;
	*t = (struct text){0};
	return buf;
}

void text_free(struct text *t)
{
	if (t->grows)
		free(t->buf);
	*t = (struct text){0};
}

bool text_copy(char *dst, size_t size, const char *src)
{
	size_t len = strnlen(src, size);
	bool whole = len < size;
	if (!whole)
		len = size - 1;
	memcpy(dst, src, len);
	dst[len] = '\0';
	return whole;
}

bool text_clean(char *dst, size_t size, const char *src)
{
	bool whole = text_copy(dst, size, src);
	for (unsigned char *p = (unsigned char *)dst; *p; p++) {
		bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f;
		if (*p < 0x20 || *p == 0x7f || c1)
			*p = '?';
		if (c1)
			p[1] = '?';
	}
	return whole;
}

bool text_is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool text_is_name(const char *s)
{
	if (!text_is_alnum(*s))
		return false;
	for (; *s; s++)
		if (!text_is_alnum(*s) && !strchr("_.-", *s))
			return false;
	return true;
}

static bool is_dns_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool text_is_dns_name(const char *s)
{
	size_t len = strnlen(s, TEXT_DNS_NAME);
	if (len == 0 || len >= TEXT_DNS_NAME)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (is_dns_char(s[i]))
			continue;
		/* A dot or a dash stands between two others; dashes may follow each other. */
		if ((s[i] != '.' && s[i] != '-') || i == 0 || i + 1 == len)
			return false;
		if (s[i] == '.' && (!is_dns_char(s[i - 1]) || !is_dns_char(s[i + 1])))
			return false;
	}
	return true;
}

bool text_is_ifname(const char *s)
{
	size_t len = strnlen(s, 16);
	if (len == 0 || len > 15 || strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
		return false;
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f || (unsigned char)*s == 0xa0 ||
			strchr("/:%", *s))
			return false;
	return true;
}

size_t text_utf8(const char *s, uint32_t *out)
{
	const unsigned char *p = (const unsigned char *)s;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 0;
	if (len == 0 || p[0] > 0xf4)
		return 0;
	if (len == 1) {
		*out = p[0];
		return 1;
	}
	uint32_t c = p[0] & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fU);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*out = c;
	return len;
}

int text_index(const char *s, const char *const words[], size_t n)
{
	for (size_t i = 0; i < n && words[i]; i++)
		if (strcmp(s, words[i]) == 0)
			return (int)i;
	return -1;
}

int text_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

size_t text_byte_order_mark(const char *bytes, size_t len)
{
	return len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}
