/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IP addresses as 16 bytes in network order with a family beside them. Arithmetic is done on the
 * bytes, carry by carry: simple, and the same for both families. inet_pton() does the parsing; it
 * is strict where Go's parser is (no leading zeros, no zones), so what we accept others can read.
 */
#include "lib/addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/text.h"

int addr_parse(const char *s, struct addr *out, struct err *e)
{
	struct addr a = {.family = strchr(s, ':') ? AF_INET6 : AF_INET};
	if (inet_pton(a.family, s, a.bytes) != 1)
		return err_set(e, EINVAL, "\"%.60s\" is not an IP address", s);
	*out = a;
	return 0;
}

char *addr_format(const struct addr *a, char out[ADDR_TEXT])
{
	if (!inet_ntop(a->family, a->bytes, out, ADDR_TEXT))
		memcpy(out, "none", sizeof("none")); /* no family */
	return out;
}

int cidr_parse(const char *s, struct cidr *out, struct err *e)
{
	const char *slash = strchr(s, '/');
	char text[ADDR_TEXT];
	if (!slash || (size_t)(slash - s) >= sizeof(text))
		return err_set(e, EINVAL, "\"%.60s\" is not a prefix (ADDRESS/LENGTH)", s);
	memcpy(text, s, (size_t)(slash - s));
	text[slash - s] = '\0';
	struct cidr c = {0};
	if (addr_parse(text, &c.addr, e) < 0)
		return err_set(e, EINVAL, "\"%.60s\" is not a prefix (ADDRESS/LENGTH)", s);
	unsigned int len = 0;
	const char *p = slash + 1;
	for (; *p >= '0' && *p <= '9' && len < 1000; p++)
		len = len * 10 + (unsigned int)(*p - '0');
	bool zeros = slash[1] == '0' && slash[2];
	if (p == slash + 1 || *p || zeros || len > addr_bits(&c.addr))
		return err_set(e, EINVAL, "\"%.60s\" has no valid prefix length", s);
	c.len = (uint8_t)len;
	*out = c;
	return 0;
}

char *cidr_format(const struct cidr *c, char out[CIDR_TEXT])
{
	(void)snprintf(out, CIDR_TEXT, "%s/%u", ADDR_STRING(&c->addr), c->len);
	return out;
}

uint8_t addr_bits(const struct addr *a)
{
	return a->family == AF_INET ? 32 : 128;
}

size_t addr_size(const struct addr *a)
{
	return a->family == AF_INET ? 4 : 16;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_compare(a, b) == 0;
}

int addr_compare(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return a->family == AF_INET || b->family == AF_INET6 ? -1 : 1;
	return memcmp(a->bytes, b->bytes, addr_size(a));
}

struct addr addr_plus(const struct addr *a, uint64_t n)
{
	struct addr sum = *a;
	unsigned int carry = 0;
	for (size_t i = addr_size(a); i-- > 0; n >>= 8) {
		unsigned int v = sum.bytes[i] + (unsigned int)(n & 0xff) + carry;
		sum.bytes[i] = (uint8_t)v;
		carry = v >> 8;
	}
	return sum;
}

uint64_t addr_minus(const struct addr *b, const struct addr *a)
{
	assert(a->family == b->family);
	if (addr_compare(b, a) < 0)
		return UINT64_MAX;
	uint8_t diff[16] = {0};
	size_t size = addr_size(a);
	int borrow = 0;
	for (size_t i = size; i-- > 0;) {
		int v = b->bytes[i] - a->bytes[i] - borrow;
		borrow = v < 0;
		diff[i] = (uint8_t)(v + (borrow ? 256 : 0));
	}
	uint64_t n = 0;
	for (size_t i = 0; i < size; i++) {
		if (n >> 56)
			return UINT64_MAX;
		n = n << 8 | diff[i];
	}
	return n;
}

bool cidr_equal(const struct cidr *a, const struct cidr *b)
{
	return a->len == b->len && addr_equal(&a->addr, &b->addr);
}

int cidr_compare(const struct cidr *a, const struct cidr *b)
{
	int r = addr_compare(&a->addr, &b->addr);
	return r ? r : a->len - b->len;
}

int addr_compare_first(const void *a, const void *b)
{
	return addr_compare(a, b);
}

int cidr_compare_first(const void *a, const void *b)
{
	return cidr_compare(a, b);
}

bool cidr_has_host_bits(const struct cidr *c)
{
	struct cidr masked = cidr_masked(&c->addr, c->len);
	return !addr_equal(&masked.addr, &c->addr);
}

struct cidr cidr_masked(const struct addr *a, uint8_t len)
{
	struct cidr c = {.addr = *a, .len = len};
	for (size_t i = 0; i < addr_size(a); i++) {
		size_t first = i * 8;
		if (first >= len)
			c.addr.bytes[i] = 0;
		else if (first + 8 > len)
			c.addr.bytes[i] &= (uint8_t)(0xff << (first + 8 - len));
	}
	return c;
}

struct addr cidr_last(const struct cidr *c)
{
	struct addr a = c->addr;
	for (size_t bit = c->len; bit < addr_bits(&a); bit++)
		a.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return a;
}

struct cidr cidr_of_host(const struct addr *a)
{
	return (struct cidr){.addr = *a, .len = addr_bits(a)};
}

bool cidr_contains(const struct cidr *c, const struct addr *a)
{
	if (c->addr.family != a->family)
		return false;
	struct cidr around = cidr_masked(a, c->len);
	struct cidr masked = cidr_masked(&c->addr, c->len);
	return addr_equal(&around.addr, &masked.addr);
}

bool cidr_any_contains(const struct cidr *list, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (cidr_contains(&list[i], a))
			return true;
	return false;
}

bool cidr_overlaps(const struct cidr *a, const struct cidr *b)
{
	return a->len <= b->len ? cidr_contains(a, &b->addr) : cidr_contains(b, &a->addr);
}

bool cidr_is_among(const struct cidr *list, size_t n, const struct cidr *c)
{
	for (size_t i = 0; i < n; i++)
		if (cidr_equal(&list[i], c))
			return true;
	return false;
}

bool mac_parse(const char *s, uint8_t out[6])
{
	uint8_t mac[6];
	uint8_t any = 0;
	if (strlen(s) != MAC_TEXT - 1)
		return false;
	for (size_t i = 0; i < 6; i++) {
		int high = text_hex_digit(s[3 * i]);
		int low = text_hex_digit(s[3 * i + 1]);
		if (high < 0 || low < 0 || (i < 5 && s[3 * i + 2] != ':'))
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
		any |= mac[i];
	}
	if (!any || (mac[0] & 1))
		return false;
	memcpy(out, mac, sizeof(mac));
	return true;
}

void mac_format(const uint8_t mac[6], char out[MAC_TEXT])
{
	(void)snprintf(out, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		mac[3], mac[4], mac[5]);
}
