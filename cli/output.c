/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Printing. Names of pods, containers, networks and interfaces come from strangers (CNI_ARGS, link
 * aliases), and a terminal obeys what it is sent: escape sequences, but also invisible characters
 * that turn the direction of a line round. So whatever is shown to people goes through
 * output_clean(); JSON is for programs and keeps every character, but as ASCII escapes, because it
 * is looked at on terminals too.
 */
#include "cli/output.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

/* The sequence at p: its length in bytes and code point; length 0 when it is no UTF-8 (RFC 3629:
 * no overlong forms, no surrogates, nothing beyond 10FFFF). */
static size_t utf8_decode(const unsigned char *p, uint32_t *out)
{
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

/* Line and paragraph separators, marks and overrides of direction, the byte order mark. */
static bool is_trick(uint32_t c)
{
	return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || c == 0x061c;
}

void output_clean(char *dst, size_t size, const char *src)
{
	(void)text_clean(dst, size, src);
	for (unsigned char *p = (unsigned char *)dst; *p;) {
		uint32_t c = 0;
		size_t len = utf8_decode(p, &c);
		bool bad = len == 0 || is_trick(c);
		len = len ? len : 1;
		if (bad)
			memset(p, '?', len);
		p += len;
	}
}

void output_number(uint64_t v, char out[OUTPUT_NUMBER])
{
	if (v == UINT64_MAX) {
		(void)snprintf(out, OUTPUT_NUMBER, "2^64+");
		return;
	}
	if (v < 1U << 20) {
		(void)snprintf(out, OUTPUT_NUMBER, "%llu", (unsigned long long)v);
		return;
	}
	int low = 63 - __builtin_clzll(v);
	bool exact = (v & (v - 1)) == 0;
	int near = !exact && low > 0 && (v >> (low - 1) & 1) ? low + 1 : low;
	if (exact || v >= 1000000000)
		(void)snprintf(out, OUTPUT_NUMBER, "%s2^%d", exact ? "" : "~", near);
	else
		(void)snprintf(out, OUTPUT_NUMBER, "%llu", (unsigned long long)v);
}

void output_percent(uint64_t part, uint64_t whole, char out[OUTPUT_NUMBER])
{
	double percent = whole ? 100.0 * (double)part / (double)whole : 0;
	if (part == 0 || whole == 0)
		(void)snprintf(out, OUTPUT_NUMBER, "0%%");
	else if (percent < 0.1)
		(void)snprintf(out, OUTPUT_NUMBER, "<0.1%%");
	else if (part >= whole)
		(void)snprintf(out, OUTPUT_NUMBER, "100%%");
	else if (percent > 99.9)
		(void)snprintf(out, OUTPUT_NUMBER, "99.9%%");
	else
		(void)snprintf(out, OUTPUT_NUMBER, "%.1f%%", percent);
}

static void owner_phrase(const char *pod, const char *network, const char *container,
	const char *ifname, bool foreign, char out[OUTPUT_OWNER])
{
	char raw[OUTPUT_OWNER];
	struct text t = TEXT_ON(raw);
	if (*pod)
		text_add(&t, "pod %.200s (network %.40s, container %.12s", pod, network, container);
	else
		text_add(&t, "container %.12s (network %.40s", container, network);
	text_add(&t, ", %.15s%s)", ifname, foreign ? ", wired by another plugin" : "");
	output_clean(out, OUTPUT_OWNER, raw);
}

void output_owner(const struct owner *o, char out[OUTPUT_OWNER])
{
	char pod[201] = "";
	struct text t = TEXT_ON(pod);
	if (*o->pod_name)
		text_add(&t, "%s%s%s", o->pod_namespace, *o->pod_namespace ? "/" : "", o->pod_name);
	owner_phrase(pod, o->network, o->container, o->ifname, o->foreign, out);
}

void output_label(const struct owned_label *l, char out[OUTPUT_OWNER])
{
	owner_phrase(l->pod + (*l->pod == '/'), l->network, l->container, l->ifname, false, out);
}

void output_count(uint64_t n, const char *one, const char *many, char out[64])
{
	char number[OUTPUT_NUMBER];
	output_number(n, number);
	(void)snprintf(out, 64, "%s %s", number, n == 1 ? one : many);
}

void output_json(json_t *owned)
{
	CLEANUP_FREE char *text = json_dumps(owned, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	if (!text)
		err_abort("out of memory");
	for (const char *p = text; *p; p++) {
		if (*p == 0x7f) /* jansson leaves DEL as it is */
			(void)fputs("\\u007f", stdout);
		else
			(void)fputc(*p, stdout);
	}
	(void)fputc('\n', stdout);
	json_decref(owned);
}

int output_error(const struct err *e)
{
	char text[sizeof(e->text)], details[sizeof(e->details)];
	output_clean(text, sizeof(text), e->text);
	output_clean(details, sizeof(details), e->details);
	(void)fflush(stdout);
	(void)fprintf(stderr, "roostctl: %s\n", text);
	if (*details)
		(void)fprintf(stderr, "roostctl: %s\n", details);
	return 1;
}

int output_complain(const char *fmt, ...)
{
	struct err e = {0};
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(e.text, sizeof(e.text), fmt, args);
	va_end(args);
	return output_error(&e);
}
