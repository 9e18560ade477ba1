/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words are those of Calico's IP autodetection, and mean the same: the regular expressions of
 * interface= match anywhere in a name (a link whose name is exactly the text goes first, so that
 * "eth0" is eth0 and not a veth0), in the order given. They are compiled when they are read, to refuse
 * wrong ones, and again for each look: a node looks seldom, and so the value stays plain.
 */
#include "cluster/detect_how.h"

#include <errno.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/family.h"
#include "lib/text.h"

#define PATTERN 256

static bool starts_with(const char *s, const char *start)
{
	return strncmp(s, start, strlen(start)) == 0;
}

/* The next word of a comma-separated list. */
static const char *take_item(const char *s, char out[PATTERN])
{
	size_t len = strcspn(s, ",");
	(void)snprintf(out, PATTERN, "%.*s", (int)len, s);
	return s[len] ? s + len + 1 : s + len;
}

/* A repeat count multiplies what the expression is made of in memory, nested ones by each other;
 * names have 15 bytes, so one small count is all that can make sense. */
static bool is_bounded(const char *pattern)
{
	size_t counts = 0;
	for (const char *s = pattern; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '9')
			return false; /* a back reference: exponential time */
		counts += *s == '{';
	}
	return counts <= 1;
}

static int compile_pattern(const char *pattern, regex_t *out, struct err *e)
{
	if (!*pattern)
		return err_set(e, EINVAL, "a list of interfaces has an empty regular expression");
	if (!is_bounded(pattern))
		return err_set(e, EINVAL,
			"the regular expression %s is too complex (back references, or more than "
			"one repeat count)",
			pattern);
	int r = regcomp(out, pattern, REG_EXTENDED | REG_NOSUB);
	if (r == 0)
		return 0;
	char why[128];
	(void)regerror(r, out, why, sizeof(why));
	return err_set(e, EINVAL, "the regular expression %s is wrong: %s", pattern, why);
}

static int parse_interfaces(const char *list, struct err *e)
{
	const char *s = list;
	do {
		char pattern[PATTERN];
		s = take_item(s, pattern);
		regex_t compiled;
		int r = compile_pattern(pattern, &compiled, e);
		if (r < 0)
			return r;
		regfree(&compiled);
	} while (*s);
	return 0;
}

static int check_family(
	const struct addr *a, uint8_t family, const char *text, const char *what, struct err *e)
{
	if (a->family == family)
		return 0;
	return err_set(e, EINVAL, "%s is not an %s %s", text, family_name(family_of(family)), what);
}

static int parse_networks(const char *list, uint8_t family, struct detect *d, struct err *e)
{
	const char *s = list;
	do {
		char text[PATTERN];
		s = take_item(s, text);
		if (d->n_within == sizeof(d->within) / sizeof(*d->within))
			return err_set(e, EINVAL, "cidr= names more than %zu networks",
				sizeof(d->within) / sizeof(*d->within));
		struct cidr *c = &d->within[d->n_within++];
		int r = cidr_parse(text, c, e);
		if (r >= 0)
			r = check_family(&c->addr, family, text, "network", e);
		if (r < 0)
			return r;
		*c = cidr_masked(&c->addr, c->len);
	} while (*s);
	return 0;
}

static int parse_address(const char *text, uint8_t family, struct detect *d, struct err *e)
{
	int r = addr_parse(text, &d->target, e);
	return r < 0 ? r : check_family(&d->target, family, text, "address", e);
}

int detect_parse(const char *text, uint8_t family, struct detect *out, struct err *e)
{
	struct detect d = {0};
	if (!text_copy(d.text, sizeof(d.text), text))
		return err_set(e, EINVAL,
			"the way to find the node's %s address is longer than %zu bytes",
			family_name(family_of(family)), sizeof(d.text) - 1);
	int r = 0;
	if (strcmp(text, "none") == 0) {
		d.method = DETECT_NONE;
	} else if (strcmp(text, "first-found") == 0) {
		d.method = DETECT_FIRST_FOUND;
	} else if (strcmp(text, "kubernetes") == 0) {
		d.method = DETECT_KUBERNETES;
	} else if (starts_with(text, "interface=") || starts_with(text, "skip-interface=")) {
		d.method = *text == 's' ? DETECT_SKIP : DETECT_INTERFACE;
		r = parse_interfaces(strchr(text, '=') + 1, e);
	} else if (starts_with(text, "can-reach=")) {
		d.method = DETECT_CAN_REACH;
		r = parse_address(text + strlen("can-reach="), family, &d, e);
	} else if (starts_with(text, "cidr=")) {
		d.method = DETECT_CIDR;
		r = parse_networks(text + strlen("cidr="), family, &d, e);
	} else {
		struct err ignored;
		d.method = DETECT_FIXED;
		if (addr_parse(text, &d.target, &ignored) < 0)
			return err_set(e, EINVAL,
				"%s is no way to find the node's %s address: none, first-found, "
				"skip-interface=REGEX, interface=REGEX, can-reach=ADDRESS, "
				"cidr=NET, kubernetes "
				"or an address",
				text, family_name(family_of(family)));
		r = check_family(&d.target, family, text, "address", e);
	}
	if (r < 0)
		return r;
	*out = d;
	return 0;
}

unsigned int detect_rank_name(const struct detect *d, const char *name)
{
	const char *s = strchr(d->text, '=') + 1;
	unsigned int rank = 1000;
	while (*s) {
		char pattern[PATTERN];
		s = take_item(s, pattern);
		rank -= 2;
		if (strcmp(pattern, name) == 0)
			return rank + 1;
		regex_t compiled;
		struct err ignored;
		if (compile_pattern(pattern, &compiled, &ignored) < 0)
			continue;
		bool matches = regexec(&compiled, name, 0, NULL, 0) == 0;
		regfree(&compiled);
		if (matches)
			return rank;
	}
	return 0;
}
