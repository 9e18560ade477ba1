/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Printing. Names of pods, containers, networks and interfaces come from strangers (CNI_ARGS, link
 * aliases), and a terminal obeys what it is sent: escape sequences, but also invisible characters
 * that turn the direction of a line round. So whatever is shown to people goes through
 * output_clean(); JSON is for programs and keeps every character, but as ASCII escapes, because it
 * is looked at on terminals too.
 */
#include "cli/output.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

/* Line and paragraph separators, marks and overrides of direction, the byte order mark. */
static bool is_trick(uint32_t c)
{
	return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || c == 0x061c;
}

void output_clean(char *dst, size_t size, const char *src)
{
	(void)text_clean(dst, size, src);
	for (char *p = dst; *p;) {
		uint32_t c = 0;
		size_t len = text_utf8(p, &c);
		bool bad = len == 0 || is_trick(c);
		len = len ? len : 1;
		if (bad)
			memset(p, '?', len);
		p += len;
	}
}

char *output_number(uint64_t v, char out[OUTPUT_NUMBER])
{
	int low = 63 - __builtin_clzll(v | 1);
	bool exact = (v & (v - 1)) == 0;
	if (v == UINT64_MAX)
		(void)snprintf(out, OUTPUT_NUMBER, "2^64+");
	else if (v < 1U << 20 || (!exact && v < 1000000000))
		(void)snprintf(out, OUTPUT_NUMBER, "%llu", (unsigned long long)v);
	else
		(void)snprintf(out, OUTPUT_NUMBER, "%s2^%d", exact ? "" : "~",
			low + (!exact && v >> (low - 1) & 1));
	return out;
}

char *output_addresses(const struct cidr *c, uint64_t n, uint64_t size, char out[OUTPUT_NUMBER])
{
	if (size != UINT64_MAX)
		return output_number(n, out);
	(void)snprintf(
		out, OUTPUT_NUMBER, "%s2^%d", n == size ? "" : "~", addr_bits(&c->addr) - c->len);
	return out;
}

char *output_blocks(uint64_t n, const struct pool *p, char out[OUTPUT_BLOCKS])
{
	char most[OUTPUT_NUMBER];
	if (pool_block_count(p) == UINT64_MAX)
		(void)snprintf(most, sizeof(most), "2^%d", p->block_len - p->cidr.len);
	else
		(void)output_number(pool_block_count(p), most);
	(void)snprintf(out, OUTPUT_BLOCKS, "%s of %s /%d", NUMBER_STRING(n), most, p->block_len);
	return out;
}

char *output_percent(uint64_t part, uint64_t whole, char out[OUTPUT_NUMBER])
{
	double percent = whole ? 100.0 * (double)part / (double)whole : 0;
	if (part == 0 || whole == 0)
		(void)snprintf(out, OUTPUT_NUMBER, "0%%");
	else if (percent < 0.1)
		(void)snprintf(out, OUTPUT_NUMBER, "<0.1%%");
	else if (part >= whole)
		(void)snprintf(out, OUTPUT_NUMBER, "100%%");
	else
		(void)snprintf(out, OUTPUT_NUMBER, "%.1f%%", percent > 99.9 ? 99.9 : percent);
	return out;
}

static char *owner_phrase(const char *pod, const char *network, const char *container,
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
	return out;
}

void output_add_pod(struct text *t, const struct owner *o)
{
	if (o->pod_name && *o->pod_name)
		text_add(t, "%s%s%s", o->pod_namespace, *o->pod_namespace ? "/" : "", o->pod_name);
}

char *output_owner(const struct owner *o, char out[OUTPUT_OWNER])
{
	char pod[201] = "";
	struct text t = TEXT_ON(pod);
	if (owner_is_tunnel(o)) {
		(void)snprintf(out, OUTPUT_OWNER, "this node's own tunnel (%.12s, %.15s)",
			o->container, o->ifname);
		return out;
	}
	output_add_pod(&t, o);
	return owner_phrase(pod, o->network, o->container, o->ifname, o->foreign, out);
}

char *output_label(const struct owned_label *l, char out[OUTPUT_OWNER])
{
	return owner_phrase(
		l->pod + (*l->pod == '/'), l->network, l->container, l->ifname, false, out);
}

char *output_count(uint64_t n, const char *one, const char *many, char out[OUTPUT_COUNT])
{
	(void)snprintf(out, OUTPUT_COUNT, "%s %s", NUMBER_STRING(n), n == 1 ? one : many);
	return out;
}

void output_put_counts(json_t *object, const uint64_t counts[5])
{
	static const char *const keys[] = {"used", "cooling", "reserved", "quarantined", "free"};
	for (size_t i = 0; i < 5; i++)
		json_put(object, keys[i], json_of_number(counts[i]));
}

void output_add_part(struct text *t, uint64_t n, const char *what)
{
	if (n)
		text_add(t, "%s%s %s", t->len ? ", " : "", NUMBER_STRING(n), what);
}

void output_line(const char *name, const char *value)
{
	char clean[1200];
	output_clean(clean, sizeof(clean), value ? value : "");
	if (*clean)
		(void)printf("%-14s%s\n", name, clean);
}

void output_json(json_t *owned)
{
	CLEANUP_FREE char *text = json_dumps(owned, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	if (!text)
		err_abort("out of memory");
	for (const char *p = text; *p; p++)
		if (*p == 0x7f) /* jansson leaves DEL as it is */
			(void)fputs("\\u007f", stdout);
		else
			(void)fputc(*p, stdout);
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

__attribute__((format(printf, 1, 0))) static void complain_va(const char *fmt, va_list args)
{
	struct err e = {0};
	(void)vsnprintf(e.text, sizeof(e.text), fmt, args);
	(void)output_error(&e);
}

int output_complain(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	complain_va(fmt, args);
	va_end(args);
	return 1;
}

int output_usage(const char *command, const char *fmt, ...)
{
	char sentence[512];
	bool has = command && *command;
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	(void)output_complain(
		"%.400s (roostctl help%s%s)", sentence, has ? " " : "", has ? command : "");
	return 2;
}
