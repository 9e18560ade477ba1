/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small evaluation of forward chains, for two packets of each pool: one from a pod, one to a pod,
 * each the first of its connection (pods of other nodes open connections, too). Rules are walked in
 * order, jumps followed. A rule counts when all its matches are true for every packet of that kind:
 *
 *  - ip saddr / daddr: a prefix, a list of prefixes or a named set, one of which contains the pool;
 *  - iifname (from a pod) or oifname (to a pod) "roost*";
 *  - nfproto of the pool's family.
 *
 * Every other match (ports, connection state, marks) is true for some packets at best, so its
 * rule is passed over. A chain that ends with its policy, or with a rule for all, gives the verdict.
 * The forms are those of libnftables-json(5); what iptables-nft writes is listed the same way, with
 * "xt" for what has no native form.
 */
#include "agent/filter/firewall.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

#define MAX_BYTES (16 << 20)
#define MAX_DEPTH 16
#define MAX_VISITS 4096 /* of chains, for one packet */

enum verdict { VERDICT_NONE, VERDICT_ACCEPT, VERDICT_DROP };

struct walk {
	const json_t *items; /* of the table's listing */
	const struct cidr *pool;
	bool from; /* a packet from a pod; else to one */
	size_t visits;
};

int firewall_parse(const char *text, size_t len, json_t **out, struct err *e)
{
	if (len > MAX_BYTES)
		return err_set(e, EFBIG, "the listing of the packet filter is longer than %d MiB",
			MAX_BYTES >> 20);
	json_error_t why;
	json_t *doc = json_loadb(text, len, 0, &why);
	if (!doc)
		return err_set(
			e, EBADMSG, "cannot read the listing of the packet filter: %s", why.text);
	*out = doc;
	return 0;
}

static const char *get_text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));
	return s ? s : "";
}

static bool is_text(const json_t *object, const char *key, const char *value)
{
	return strcmp(get_text(object, key), value) == 0;
}

static const json_t *items_of(const json_t *listing)
{
	return json_object_get(listing, "nftables");
}

static bool is_forward_chain(const json_t *chain)
{
	const char *family = get_text(chain, "family");
	bool routes = strcmp(family, "ip") == 0 || strcmp(family, "ip6") == 0 ||
		      strcmp(family, "inet") == 0;
	return routes && is_text(chain, "hook", "forward");
}

/* A name that can stand in a command. */
static bool is_plain(const char *s)
{
	if (!isalpha((unsigned char)*s) && *s != '_')
		return false;
	for (const char *p = s; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_.-/", *p))
			return false;
	return strlen(s) < FIREWALL_NAME;
}

void firewall_tables(const json_t *chains, struct firewall_table **out, size_t *n)
{
	struct firewall_table *list = NULL;
	size_t room = 0, count = 0, i;
	const json_t *item;
	json_array_foreach (items_of(chains), i, item) {
		const json_t *chain = json_object_get(item, "chain");
		const char *name = get_text(chain, "table");
		if (!is_forward_chain(chain) || !is_plain(name) ||
			strncmp(name, "roost", strlen("roost")) == 0)
			continue;
		struct firewall_table t;
		(void)text_copy(t.family, sizeof(t.family), get_text(chain, "family"));
		(void)text_copy(t.name, sizeof(t.name), name);
		bool known = false;
		for (size_t j = 0; j < count; j++)
			known = known || (strcmp(list[j].family, t.family) == 0 &&
						 strcmp(list[j].name, t.name) == 0);
		if (known)
			continue;
		list = mem_grow(list, &room, count, sizeof(*list));
		list[count++] = t;
	}
	*out = list;
	*n = count;
}

/*
 * Matches.
 */

static bool covers_address(const char *text, const struct cidr *pool)
{
	struct addr a;
	struct err ignored;
	return pool->len == addr_bits(&pool->addr) && addr_parse(text, &a, &ignored) == 0 &&
	       addr_equal(&a, &pool->addr);
}

static bool covers_prefix(const json_t *prefix, const struct cidr *pool)
{
	struct addr a;
	struct err ignored;
	json_int_t len = json_integer_value(json_object_get(prefix, "len"));
	if (addr_parse(get_text(prefix, "addr"), &a, &ignored) < 0 || len < 0 || len > pool->len)
		return false;
	struct cidr c = cidr_masked(&a, (uint8_t)len);
	return cidr_contains(&c, &pool->addr);
}

/* One value, without sets: "10.0.0.1", {"prefix": ...}, or an element with a comment or counter. */
static bool covers_value(const json_t *value, const struct cidr *pool)
{
	const json_t *elem = json_object_get(value, "elem");
	if (json_is_object(elem))
		value = json_object_get(elem, "val");
	if (json_is_string(value))
		return covers_address(json_string_value(value), pool);
	const json_t *prefix = json_object_get(value, "prefix");
	return prefix && covers_prefix(prefix, pool);
}

static bool covers_any(const json_t *list, const struct cidr *pool)
{
	size_t i;
	const json_t *value;
	json_array_foreach (list, i, value)
		if (covers_value(value, pool))
			return true;
	return false;
}

static const json_t *find_named(const json_t *items, const char *kind, const char *name)
{
	size_t i;
	const json_t *item;
	json_array_foreach (items, i, item) {
		const json_t *found = json_object_get(item, kind);
		if (found && is_text(found, "name", name))
			return found;
	}
	return NULL;
}

static bool covers(const struct walk *w, const json_t *right)
{
	const char *text = json_string_value(right);
	if (text && *text == '@')
		return covers_any(
			json_object_get(find_named(w->items, "set", text + 1), "elem"), w->pool);
	const json_t *set = json_object_get(right, "set");
	return set ? covers_any(set, w->pool) : covers_value(right, w->pool);
}

static bool is_family(const struct walk *w, const char *name)
{
	bool v4 = w->pool->addr.family == AF_INET;
	return strcmp(name, v4 ? "ipv4" : "ipv6") == 0 || strcmp(name, v4 ? "ip" : "ip6") == 0;
}

/* Whether a match is true for all packets of the walk. */
static bool is_true(const struct walk *w, const json_t *match)
{
	const json_t *left = json_object_get(match, "left");
	const json_t *right = json_object_get(match, "right");
	const json_t *payload = json_object_get(left, "payload");
	const char *meta = get_text(json_object_get(left, "meta"), "key");
	const char *value = json_string_value(right);
	if (!is_text(match, "op", "=="))
		return false;
	if (payload)
		return is_family(w, get_text(payload, "protocol")) &&
		       is_text(payload, "field", w->from ? "saddr" : "daddr") && covers(w, right);
	if (!value)
		return false;
	if (strcmp(meta, w->from ? "iifname" : "oifname") == 0)
		return strcmp(value, "roost*") == 0;
	return (strcmp(meta, "nfproto") == 0 || strcmp(meta, "protocol") == 0) &&
	       is_family(w, value);
}

/*
 * Rules and chains.
 */

struct effect {
	enum verdict verdict;
	bool returns;
	const char *target; /* jump or goto; NULL: none */
	bool is_goto;
};

/* What a statement does; false: it makes the rule one for some packets only. */
static bool take_statement(
	const struct walk *w, const char *key, const json_t *value, struct effect *f)
{
	static const char *const harmless[] = {"counter", "log", "comment", "mangle", "notrack"};
	for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++)
		if (strcmp(key, harmless[i]) == 0)
			return true;
	if (strcmp(key, "match") == 0)
		return is_true(w, value);
	if (strcmp(key, "accept") == 0)
		f->verdict = VERDICT_ACCEPT;
	else if (strcmp(key, "drop") == 0 || strcmp(key, "reject") == 0)
		f->verdict = VERDICT_DROP;
	else if (strcmp(key, "return") == 0)
		f->returns = true;
	else if (strcmp(key, "jump") == 0 || strcmp(key, "goto") == 0) {
		f->target = get_text(value, "target");
		f->is_goto = *key == 'g';
	} else if (strcmp(key, "xt") == 0) {
		if (is_text(value, "type", "target") && is_text(value, "name", "REJECT"))
			f->verdict = VERDICT_DROP;
		else
			return is_text(value, "name", "comment");
	} else {
		return false;
	}
	return true;
}

static bool read_rule(const struct walk *w, const json_t *rule, struct effect *out)
{
	struct effect f = {0};
	size_t i;
	const json_t *statement;
	json_array_foreach (json_object_get(rule, "expr"), i, statement) {
		void *it = json_object_iter((json_t *)statement);
		if (!it || !take_statement(
				   w, json_object_iter_key(it), json_object_iter_value(it), &f))
			return false;
	}
	*out = f;
	return true;
}

/* NOLINTNEXTLINE(misc-no-recursion): chains nest; MAX_DEPTH bounds it */
static enum verdict walk_chain(struct walk *w, const char *chain, int depth)
{
	size_t i;
	const json_t *item;
	if (depth == MAX_DEPTH || ++w->visits > MAX_VISITS)
		return VERDICT_NONE;
	json_array_foreach (w->items, i, item) {
		struct effect f;
		const json_t *rule = json_object_get(item, "rule");
		if (!rule || !is_text(rule, "chain", chain) || !read_rule(w, rule, &f))
			continue;
		if (f.target)
			f.verdict = walk_chain(w, f.target, depth + 1);
		if (f.verdict != VERDICT_NONE)
			return f.verdict;
		if (f.returns || (f.target && f.is_goto))
			break;
	}
	return VERDICT_NONE;
}

static bool drops(const json_t *items, const json_t *chain, const struct cidr *pool)
{
	for (int from = 0; from < 2; from++) {
		struct walk w = {.items = items, .pool = pool, .from = from};
		enum verdict v = walk_chain(&w, get_text(chain, "name"), 0);
		if (v == VERDICT_DROP || (v == VERDICT_NONE && is_text(chain, "policy", "drop")))
			return true;
	}
	return false;
}

/* "a,b" with "," between, and before each the prefix. */
static void add_list(
	struct text *t, const struct cidr *pools, size_t n, const char *between, const char *prefix)
{
	char text[CIDR_TEXT];
	for (size_t i = 0; i < n; i++) {
		cidr_format(&pools[i], text);
		text_add(t, "%s%s%s", i ? between : "", prefix, text);
	}
}

static void add_iptables(
	struct text *t, const struct firewall_place *p, const struct cidr *pools, size_t n)
{
	bool v4 = pools->addr.family == AF_INET;
	const char *tool = p->legacy ? (v4 ? "iptables-legacy" : "ip6tables-legacy")
				     : (v4 ? "iptables" : "ip6tables");
	for (const char *side = "sd"; *side; side++) {
		text_add(t, "%s%s -I %s -%c ", *side == 'd' ? "; " : "", tool,
			p->docker ? "DOCKER-USER" : p->chain, *side);
		add_list(t, pools, n, ",", "");
		text_add(t, " -j ACCEPT");
	}
}

static void add_nft(
	struct text *t, const struct firewall_place *p, const struct cidr *pools, size_t n)
{
	static const char *const sides[] = {"saddr", "daddr"};
	text_add(t, "nft '");
	for (size_t i = 0; i < 2; i++) {
		text_add(t, "%sinsert rule %s %s %s %s %s %s", i ? "; " : "", p->family, p->table,
			p->chain, pools->addr.family == AF_INET ? "ip" : "ip6", sides[i],
			n > 1 ? "{ " : "");
		add_list(t, pools, n, ", ", "");
		text_add(t, "%s accept", n > 1 ? " }" : "");
	}
	text_add_char(t, '\'');
}

/* Without a command: it does not fit, or a name is in it that could not be typed as it stands. */
static void add_plain(
	struct text *t, const struct firewall_place *p, const struct cidr *pools, size_t n)
{
	char name[64];
	char first[CIDR_TEXT];
	(void)text_clean(name, sizeof(name), p->table);
	cidr_format(pools, first);
	text_add(t, "a forward chain of table %s drops pods' packets from and to %s", name, first);
	if (n > 1)
		text_add(t, " and %zu more pools", n - 1);
	text_add(t, ": accept them");
}

void firewall_sentence(
	const struct firewall_place *p, const struct cidr *pools, size_t n, char out[256])
{
	bool v4 = pools->addr.family == AF_INET;
	bool is_iptables =
		p->legacy || (strcmp(p->table, "filter") == 0 && strcmp(p->chain, "FORWARD") == 0 &&
				     strcmp(p->family, v4 ? "ip" : "ip6") == 0);
	struct text t = {.buf = out, .size = 256};
	text_add(
		&t, "chain %s of table %s %s drops pods' packets: ", p->chain, p->family, p->table);
	if (is_iptables) {
		add_iptables(&t, p, pools, n);
	} else if (strcmp(p->table, "firewalld") == 0) {
		text_add(&t, "firewall-cmd --zone=trusted");
		add_list(&t, pools, n, "", " --add-source=");
	} else {
		add_nft(&t, p, pools, n);
	}
	if (!t.cut && is_plain(p->table) && is_plain(p->chain))
		return;
	t = (struct text){.buf = out, .size = 256};
	add_plain(&t, p, pools, n);
}

static bool has_family(const json_t *chain, const struct cidr *pool)
{
	const char *other = pool->addr.family == AF_INET ? "ip6" : "ip";
	return !is_text(chain, "family", other);
}

/* The pools that the chain drops, of the family of the first of them. */
static size_t list_dropped(const json_t *items, const json_t *chain, const struct cidr *pools,
	size_t n_pools, struct cidr *out)
{
	size_t n = 0;
	for (size_t i = 0; i < n_pools; i++)
		if ((!n || pools[i].addr.family == out->addr.family) &&
			has_family(chain, &pools[i]) && drops(items, chain, &pools[i]))
			out[n++] = pools[i];
	return n;
}

int firewall_check(const json_t *table, const struct cidr *pools, size_t n_pools, char out[256])
{
	const json_t *items = items_of(table);
	CLEANUP_FREE struct cidr *dropped = mem_new(n_pools + 1, sizeof(*dropped));
	size_t i;
	const json_t *item;
	json_array_foreach (items, i, item) {
		const json_t *chain = json_object_get(item, "chain");
		if (!is_forward_chain(chain))
			continue;
		size_t n = list_dropped(items, chain, pools, n_pools, dropped);
		if (!n)
			continue;
		const struct firewall_place place = {
			.family = get_text(chain, "family"),
			.table = get_text(chain, "table"),
			.chain = get_text(chain, "name"),
			.docker = find_named(items, "chain", "DOCKER-USER") != NULL,
		};
		firewall_sentence(&place, dropped, n, out);
		return 1;
	}
	return 0;
}
