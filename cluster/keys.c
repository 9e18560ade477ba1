/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of documents. Keys are written from values that cannot be wrong, and read from a store
 * that anybody may have written to: reading takes exactly the text that writing would have made,
 * so that two keys never mean one thing. 100.66.0.0-26 is a block, 100.66.0.1-26 and
 * 100.66.0.0-026 are nothing: a second spelling would be a second owner.
 *
 * A prefix stands in a key with '-' for its '/', as '/' parts the levels. An IPv6 address may end
 * in colons and never contains a dash, so the last dash is always ours.
 *
 * In the key of a loan a name and an address are parted by a dot, which both may contain: an IPv6 address has
 * none, and an IPv4 address three, so what is in front of it is the name.
 */
#include "cluster/keys.h"

#include <stdio.h>
#include <string.h>

#include "lib/text.h"

#define SHORTEST4 20 /* prefix lengths of the largest blocks (docs/resources/ippool.md) */
#define SHORTEST6 116

/* What follows prefix in key; NULL when key begins otherwise. */
static const char *keys_after(const char *key, const char *prefix)
{
	size_t len = strlen(prefix);
	return strncmp(key, prefix, len) == 0 ? key + len : NULL;
}

static bool keys_take_name(const char *s, char out[RESOURCE_NAME])
{
	return s && text_is_dns_name(s) && text_copy(out, RESOURCE_NAME, s);
}

void keys_resource(enum resource_kind kind, const char *name, char out[STORE_KEY_MAX])
{
	(void)snprintf(out, STORE_KEY_MAX, KEYS_RESOURCES "%s/%.*s", resource_kind_plural(kind),
		RESOURCE_NAME - 1, name);
}

bool keys_parse_resource(const char *key, enum resource_kind *kind, char name[RESOURCE_NAME])
{
	const char *rest = keys_after(key, KEYS_RESOURCES);
	for (int k = 0; rest && k < RESOURCE_KINDS; k++) {
		const char *tail = keys_after(rest, resource_kind_plural((enum resource_kind)k));
		if (!tail || *tail != '/')
			continue;
		if (!keys_take_name(tail + 1, name))
			return false;
		*kind = (enum resource_kind)k;
		return true;
	}
	return false;
}

static void keys_format_prefix(const struct cidr *c, char out[CIDR_TEXT])
{
	cidr_format(c, out);
	*strchr(out, '/') = '-';
}

void keys_block(const struct cidr *block, char out[STORE_KEY_MAX])
{
	char text[CIDR_TEXT];
	keys_format_prefix(block, text);
	(void)snprintf(out, STORE_KEY_MAX, KEYS_BLOCKS "%s", text);
}

bool keys_parse_block(const char *key, struct cidr *out)
{
	char text[CIDR_TEXT], again[STORE_KEY_MAX];
	const char *rest = keys_after(key, KEYS_BLOCKS);
	if (!rest || !text_copy(text, sizeof(text), rest))
		return false;
	char *dash = strrchr(text, '-');
	if (!dash)
		return false;
	*dash = '/';
	struct cidr c;
	struct err ignored;
	if (cidr_parse(text, &c, &ignored) < 0 || cidr_has_host_bits(&c) ||
		c.len < (c.addr.family == AF_INET ? SHORTEST4 : SHORTEST6))
		return false;
	keys_block(&c, again);
	if (strcmp(again, key) != 0)
		return false;
	*out = c;
	return true;
}

bool keys_loan(const char *borrower, const struct cidr *addr, char out[STORE_KEY_MAX])
{
	char text[CIDR_TEXT];
	keys_format_prefix(addr, text);
	int len = snprintf(
		out, STORE_KEY_MAX, KEYS_LOANS "%.*s.%s", RESOURCE_NAME - 1, borrower, text);
	/* an object of Kubernetes is called by the same characters, 253 at most */
	return len >= 0 && (size_t)len - strlen(KEYS_LOANS) < RESOURCE_NAME;
}

/* Where the address begins: behind the last dot, or, of IPv4, the fourth from the end. NULL. */
static char *keys_loan_address(char *rest)
{
	char *dot = strrchr(rest, '.');
	bool is_ipv6 = dot && strchr(dot, ':');
	for (int i = 0; dot && !is_ipv6 && i < 3; i++) {
		do
			dot = dot == rest ? NULL : dot - 1;
		while (dot && *dot != '.');
	}
	return dot;
}

bool keys_parse_loan(const char *key, char borrower[RESOURCE_NAME], struct cidr *addr)
{
	char rest[STORE_KEY_MAX], again[STORE_KEY_MAX], name[RESOURCE_NAME];
	const char *tail = keys_after(key, KEYS_LOANS);
	if (!tail || !text_copy(rest, sizeof(rest), tail))
		return false;
	char *dot = keys_loan_address(rest);
	char *dash = dot ? strrchr(dot, '-') : NULL;
	if (!dash)
		return false;
	*dot = '\0';
	*dash = '/';
	struct cidr c;
	struct err ignored;
	if (!keys_take_name(rest, name) || cidr_parse(dot + 1, &c, &ignored) < 0 ||
		c.len != addr_bits(&c.addr) || !keys_loan(name, &c, again) ||
		strcmp(again, key) != 0)
		return false;
	(void)text_copy(borrower, RESOURCE_NAME, name);
	*addr = c;
	return true;
}

void keys_old_index(const char *node, char out[STORE_KEY_MAX])
{
	(void)snprintf(out, STORE_KEY_MAX, KEYS_OLD_INDEX "%.*s/", RESOURCE_NAME - 1, node);
}

void keys_status(const char *node, char out[STORE_KEY_MAX])
{
	(void)snprintf(out, STORE_KEY_MAX, KEYS_STATUS "%.*s", RESOURCE_NAME - 1, node);
}

void keys_newcomer(const char *node, char out[STORE_KEY_MAX])
{
	(void)snprintf(out, STORE_KEY_MAX, KEYS_STATUS "%.*s/newcomer", RESOURCE_NAME - 1, node);
}

void keys_endpoint(const char *node, const struct hash *pod, char out[STORE_KEY_MAX])
{
	char text[HASH_TEXT];
	hash_format(pod, text);
	(void)snprintf(out, STORE_KEY_MAX, KEYS_ENDPOINTS "%.*s.%s", RESOURCE_NAME - 1, node, text);
}

/* A node's name may begin as another's with a dot behind it: what follows must be a hash alone. */
bool keys_is_endpoint_of(const char *key, const char *node)
{
	struct hash hash;
	const char *rest = keys_after(key, KEYS_ENDPOINTS);
	rest = rest ? keys_after(rest, node) : NULL;
	return rest && *rest == '.' && strlen(rest) == HASH_TEXT && hash_parse(rest + 1, &hash);
}

bool keys_parse_status(const char *key, char node[RESOURCE_NAME])
{
	return keys_take_name(keys_after(key, KEYS_STATUS), node);
}
