/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of kinds. A name has to be a DNS name, so a block's prefix stands there with dashes for
 * dots, colons and the slash. The way back is clear: five decimal numbers are an IPv4 prefix, all else
 * ends in a length behind the last dash and has colons. A loan's name is its borrower's, a dot, and an address
 * as such a prefix, which has no dot any more. A name that is of nobody's making stands in the
 * key as it is; whoever reads keys finds no block in it.
 *
 * Kinds that people apply are the object itself. Its apiVersion is roost's own group here and Calico's
 * in the document; the name of one kind is another one, as Kubernetes has a Node already. Of metadata a
 * document has what people write, and what tells which of two is older; uid and the like of another
 * store's mean nothing here and are not sent.
 *
 * A kind with namespaces has them in front of the name, with a dot, as a namespace's name has none. An object
 * whose two names are longer together than a name may be is nobody's: its definition refuses it.
 */
#include "store/kube/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"

#define API "roost.io/v1"
#define STORED_API "projectcalico.org/v3"
#define NEWCOMER "newcomer"
#define NAMESPACE_MAX 63

enum { PLAIN, PREFIXES, NODES, NAMESPACED, LOANS };

static const struct kube_row rows[KUBE_ROWS] = {
	{"resources/ippools/", "ippools", "IPPool", "IPPool", PLAIN, false},
	{"resources/nodes/", "roostnodes", "RoostNode", "Node", PLAIN, false},
	{"resources/bgpconfigurations/", "bgpconfigurations", "BGPConfiguration",
		"BGPConfiguration", PLAIN, false},
	{"resources/bgppeers/", "bgppeers", "BGPPeer", "BGPPeer", PLAIN, false},
	{"resources/bgpfilters/", "bgpfilters", "BGPFilter", "BGPFilter", PLAIN, false},
	{"resources/ipreservations/", "ipreservations", "IPReservation", "IPReservation", PLAIN,
		false},
	{"resources/ipamconfigurations/", "ipamconfigurations", "IPAMConfiguration",
		"IPAMConfiguration", PLAIN, false},
	{"resources/tiers/", "tiers", "Tier", "Tier", PLAIN, true},
	{"resources/globalnetworkpolicies/", "globalnetworkpolicies", "GlobalNetworkPolicy",
		"GlobalNetworkPolicy", PLAIN, true},
	{"resources/networkpolicies/", "networkpolicies", "NetworkPolicy", "NetworkPolicy",
		NAMESPACED, true},
	{"resources/globalnetworksets/", "globalnetworksets", "GlobalNetworkSet",
		"GlobalNetworkSet", PLAIN, true},
	{"resources/networksets/", "networksets", "NetworkSet", "NetworkSet", NAMESPACED, true},
	{"resources/stagedglobalnetworkpolicies/", "stagedglobalnetworkpolicies",
		"StagedGlobalNetworkPolicy", "StagedGlobalNetworkPolicy", PLAIN, true},
	{"resources/stagednetworkpolicies/", "stagednetworkpolicies", "StagedNetworkPolicy",
		"StagedNetworkPolicy", NAMESPACED, true},
	{"resources/stagedkubernetesnetworkpolicies/", "stagedkubernetesnetworkpolicies",
		"StagedKubernetesNetworkPolicy", "StagedKubernetesNetworkPolicy", NAMESPACED, true},
	{"blocks/", "ipblocks", "IPBlock", NULL, PREFIXES, false},
	{"loans/", "iploans", "IPLoan", NULL, LOANS, false},
	{"status/", "nodestatuses", "NodeStatus", NULL, NODES, false},
};

const struct kube_row *kube_row(size_t i)
{
	return i < KUBE_ROWS ? &rows[i] : NULL;
}

/* ---- names ---- */

static bool is_ipv4_name(const char *s)
{
	unsigned int groups = 0;
	for (bool more = true; more; groups++) {
		size_t digits = strspn(s, "0123456789");
		if (digits == 0 || digits > 3)
			return false;
		s += digits;
		more = *s == '-';
		s += more;
	}
	return !*s && groups == 5;
}

/* What a name becomes in a key, in its place. */
static void key_of_prefix(char *name)
{
	char separator = is_ipv4_name(name) ? '.' : ':';
	char *last = strrchr(name, '-');
	bool is_prefix = last && last > name && strspn(name, "0123456789abcdef-") == strlen(name) &&
			 strlen(last + 1) == strspn(last + 1, "0123456789");
	for (char *s = name; is_prefix && s < last; s++)
		if (*s == '-')
			*s = separator;
}

static void key_of_node(char *name)
{
	size_t len = strlen(name), tail = strlen("." NEWCOMER);
	if (len > tail && strcmp(name + len - tail, "." NEWCOMER) == 0)
		name[len - tail] = '/';
}

/* Where the address of a loan begins in a key: IPv6 has no dots, IPv4 three; the end where there is none. */
static char *loan_address(char *rest)
{
	char *s = rest + strlen(rest);
	for (int dots = strchr(rest, ':') ? 1 : 4; dots > 0 && s > rest;)
		dots -= *--s == '.';
	return *s == '.' ? s + 1 : s;
}

static void key_of(const struct kube_row *row, const char *name, char out[STORE_KEY_MAX])
{
	(void)text_copy(out, STORE_KEY_MAX, name);
	char *dot = row->names == LOANS ? strrchr(out, '.') : NULL;
	if (row->names == NODES)
		key_of_node(out);
	else if (row->names == PREFIXES || dot)
		key_of_prefix(dot ? dot + 1 : out);
}

/* How many bytes of a name are the namespace's. */
static size_t namespace_length(const struct kube_row *row, const char *name)
{
	return row->names == NAMESPACED ? strcspn(name, ".") : 0;
}

const char *kube_row_own_name(const struct kube_row *row, const char *name)
{
	size_t len = namespace_length(row, name);
	return len ? name + len + 1 : name;
}

/* A DNS name's labels are not empty, so with a dot there are two parts. */
static bool has_namespace(const char *name)
{
	size_t len = strcspn(name, ".");
	return name[len] && len <= NAMESPACE_MAX;
}

/* Where a prefix begins in a key; its end where it has none. */
static char *prefix_in(const struct kube_row *row, char *key)
{
	if (row->names == PREFIXES)
		return key;
	return row->names == LOANS ? loan_address(key) : key + strlen(key);
}

bool kube_row_name(const struct kube_row *row, const char *rest, char name[KUBE_NAME])
{
	char again[STORE_KEY_MAX];
	if (!text_copy(name, KUBE_NAME, rest))
		return false;
	for (char *s = prefix_in(row, name); *s; s++)
		if (*s == '.' || *s == ':')
			*s = '-';
	char *slash = row->names == NODES ? strchr(name, '/') : NULL;
	if (slash)
		*slash = '.';
	if (!text_is_dns_name(name) || (row->names == NAMESPACED && !has_namespace(name)))
		return false;
	key_of(row, name, again);
	return strcmp(again, rest) == 0; /* else two keys would be one object */
}

const struct kube_row *kube_row_of(const char *key, char name[KUBE_NAME])
{
	const struct kube_row *row;
	for (size_t i = 0; (row = kube_row(i)); i++) {
		size_t len = strlen(row->prefix);
		if (strncmp(key, row->prefix, len) == 0)
			return kube_row_name(row, key + len, name) ? row : NULL;
	}
	return NULL;
}

void kube_row_key(const struct kube_row *row, const char *namespace_, const char *name,
	char key[STORE_KEY_MAX])
{
	char rest[STORE_KEY_MAX];
	key_of(row, name, rest);
	struct text t = {.buf = key, .size = STORE_KEY_MAX};
	bool has = row->names == NAMESPACED;
	text_add(&t, "%s%s%s%s", row->prefix, has ? namespace_ : "", has ? "." : "", rest);
}

void kube_row_path(const struct kube_row *row, struct text *out)
{
	text_add(out, "/apis/" API "/%s", row->plural);
}

void kube_row_collection(const struct kube_row *row, const char *name, struct text *out)
{
	size_t len = namespace_length(row, name);
	if (len)
		text_add(out, "/apis/" API "/namespaces/%.*s/%s", (int)len, name, row->plural);
	else
		kube_row_path(row, out);
}

void kube_row_path_of(const struct kube_row *row, const char *name, struct text *out)
{
	kube_row_collection(row, name, out);
	text_add(out, "/%s", kube_row_own_name(row, name));
}

int kube_row_missing(const struct kube_row *row, struct err *e)
{
	return err_set(e, ENOENT,
		"the API server knows no %s (%s.roost.io, version v1): kubectl apply -f "
		"deploy/crds "
		"defines it",
		row->kind, row->plural);
}

/* ---- documents ---- */

static void copy_member(json_t *to, const json_t *from, const char *key)
{
	json_t *value = json_object_get(from, key);
	if (value && !json_is_null(value))
		json_put(to, key, json_incref(value));
}

int kube_row_object(const struct kube_row *row, const char *name, const char *value,
	int64_t revision, json_t **out, struct err *e)
{
	CLEANUP_JSON json_t *doc = NULL;
	char version[24];
	if (json_parse(value, strlen(value), &doc, e) < 0 || !json_is_object(doc))
		return err_set(e, EINVAL,
			"the document of %s %s is no JSON object, so it cannot be in the API",
			row->kind, name);
	json_t *object = json_object(), *metadata = json_object();
	const json_t *given = json_object_get(doc, "metadata");
	json_put(object, "apiVersion", json_string(API));
	json_put(object, "kind", json_string(row->kind));
	json_put(object, "metadata", metadata);
	json_put(metadata, "name", json_string(kube_row_own_name(row, name)));
	size_t len = namespace_length(row, name);
	if (len)
		json_put(metadata, "namespace", json_stringn(name, len));
	if (row->stored_kind) {
		copy_member(metadata, given, "labels");
		copy_member(metadata, given, "annotations");
		copy_member(object, doc, "spec");
	} else {
		json_put(object, "spec", json_incref(doc));
	}
	(void)snprintf(version, sizeof(version), "%" PRId64, revision);
	if (revision)
		json_put(metadata, "resourceVersion", json_string(version));
	*out = object;
	return 0;
}

char *kube_row_value(const struct kube_row *row, const json_t *object)
{
	static const char *const kept[] = {
		"name", "namespace", "labels", "annotations", "creationTimestamp", "uid"};
	json_t *spec = json_object_get(object, "spec");
	if (!row->stored_kind)
		return spec ? json_text(spec) : mem_strdup("{}");
	CLEANUP_JSON json_t *doc = json_object();
	json_t *metadata = json_object();
	json_put(doc, "apiVersion", json_string(STORED_API));
	json_put(doc, "kind", json_string(row->stored_kind));
	json_put(doc, "metadata", metadata);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		copy_member(metadata, json_object_get(object, "metadata"), kept[i]);
	copy_member(doc, object, "spec");
	return json_text(doc);
}

static bool same_member(const json_t *a, const json_t *b, const char *key)
{
	const json_t *one = json_object_get(a, key), *other = json_object_get(b, key);
	size_t size = json_object_size(one);
	return size == json_object_size(other) && (size == 0 || json_equal(one, other));
}

bool kube_row_same(const struct kube_row *row, const json_t *a, const json_t *b)
{
	const json_t *one = json_object_get(a, "metadata"), *other = json_object_get(b, "metadata");
	if (!same_member(a, b, "spec"))
		return false;
	return !row->stored_kind ||
	       (same_member(one, other, "labels") && same_member(one, other, "annotations"));
}
