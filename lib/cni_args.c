/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a runtime asks for besides an attachment. Each kind of wish has one function that goes
 * through its sources in order of precedence and stops at the first that says something.
 *
 * Runtimes differ in how they write the same thing. Go programs without JSON tags send keys in
 * CamelCase and null for empty lists, because Go's decoder folds case and takes null for anything:
 * so keys are looked up without case and null is the same as absent. CNI_ARGS is read leniently:
 * some runtimes put JSON into a value or leave a ';' at the end, and keys come in any order.
 *
 * Values, on the other hand, are strict: an address that was asked for and cannot be read is an
 * error, since a pod with another address than the wanted one looks fine and is wrong.
 */
#include "lib/cni_args.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/text.h"

#define ANNOTATIONS "io.kubernetes.cri.pod-annotations"
#define CALICO "cni.projectcalico.org/"
#define ANNOTATION_KEY 48 /* of struct cni_annotation, too */
#define SHOWN 64	  /* bytes of a stranger's value that an error repeats */

static int bad_value(const char *key, const char *value, const char *wanted, struct err *e)
{
	char shown[SHOWN];
	(void)text_clean(shown, sizeof(shown), value);
	return err_set(e, EINVAL, "%s: \"%s\" is not %s", key, shown, wanted);
}

static int bad_type(const char *key, const char *wanted, struct err *e)
{
	return err_set(e, EBADMSG, "%s must be %s", key, wanted);
}

bool cni_args_get(const char *args, const char *key, char *out, size_t size, bool *cut)
{
	size_t key_len = strlen(key);
	const char *found = NULL;
	size_t found_len = 0;
	for (const char *p = args; *p; p += strspn(p, ";")) {
		size_t len = strcspn(p, ";");
		if (len > key_len && strncmp(p, key, key_len) == 0 && p[key_len] == '=') {
			found = p + key_len + 1;
			found_len = len - key_len - 1;
		}
		p += len;
	}
	if (!found)
		return false;
	if (cut)
		*cut = found_len >= size;
	size_t n = found_len < size ? found_len : size - 1;
	memcpy(out, found, n);
	out[n] = '\0';
	return true;
}

/* The object at a path of one step; *out NULL when absent. */
static int get_object(
	const json_t *object, const char *key, const char *where, json_t **out, struct err *e)
{
	*out = json_get_folded(object, key);
	return *out && !json_is_object(*out) ? bad_type(where, "an object", e) : 0;
}

/* Addresses: "ADDRESS" or "ADDRESS/LEN"; the length says nothing here, but must be one. */
static int add_ip(const char *value, const char *key, struct cni_wishes *w, struct err *e)
{
	if (*value == '\0')
		return 0;
	struct cidr c;
	int r = strchr(value, '/') ? cidr_parse(value, &c, e) : addr_parse(value, &c.addr, e);
	if (r < 0)
		return bad_value(key, value, "an IP address", e);
	if (w->n_ips == CNI_WISH_MAX)
		return err_set(e, EINVAL, "%s: more than %d addresses", key, CNI_WISH_MAX);
	w->ips[w->n_ips++] = c.addr;
	return 0;
}

static int add_ip_array(const json_t *array, const char *key, struct cni_wishes *w, struct err *e)
{
	if (!array)
		return 0;
	if (!json_is_array(array))
		return bad_type(key, "an array of addresses", e);
	size_t i;
	json_t *value;
	json_array_foreach (array, i, value) {
		if (json_is_null(value))
			continue;
		if (!json_is_string(value))
			return bad_type(key, "an array of strings", e);
		int r = add_ip(json_string_value(value), key, w, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_ip_list(const char *args, struct cni_wishes *w, struct err *e)
{
	char list[1024];
	bool cut = false;
	if (!cni_args_get(args, "IP", list, sizeof(list), &cut))
		return 0;
	if (cut)
		return err_set(e, EINVAL, "CNI_ARGS IP is longer than %zu bytes", sizeof(list) - 1);
	char *rest = NULL;
	for (char *p = strtok_r(list, ", ", &rest); p; p = strtok_r(NULL, ", ", &rest)) {
		int r = add_ip(p, "CNI_ARGS IP", w, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A list of {"key": ..., "value": ...} (CNI CONVENTIONS.md, args in network config). */
static int read_labels(const json_t *list, struct cni_wishes *w, struct err *e)
{
	size_t i;
	json_t *one;
	if (!list || json_is_null(list))
		return 0;
	if (!json_is_array(list))
		return bad_type("args.cni.labels", "an array", e);
	w->labels = json_object();
	json_array_foreach (list, i, one) {
		const char *key = json_string_value(json_get_folded(one, "key"));
		json_t *value = json_get_folded(one, "value");
		if (!key || !*key || !json_is_string(value))
			return bad_type(
				"args.cni.labels", "an array of objects with key and value", e);
		json_put(w->labels, key, json_incref(value));
	}
	return 0;
}

/* A text; *out NULL when absent or empty. */
static int get_text(
	const json_t *object, const char *key, const char *where, const char **out, struct err *e)
{
	json_t *value = json_get_folded(object, key);
	if (value && !json_is_string(value))
		return bad_type(where, "a string", e);
	*out = json_string_length(value) ? json_string_value(value) : NULL;
	return 0;
}

/* The text of an annotation that has a name of roost and one of Calico, roost's first; key becomes its whole
 * name. *out NULL: neither is there. */
static int get_annotation(const json_t *annotations, const char *name, char key[ANNOTATION_KEY],
	const char **out, struct err *e)
{
	static const char *const prefixes[] = {"roost.io/", CALICO};
	int r = 0;
	*out = NULL;
	for (size_t i = 0; i < 2 && r == 0 && !*out; i++) {
		char where[ANNOTATION_KEY + 16];
		(void)snprintf(key, ANNOTATION_KEY, "%s%s", prefixes[i], name);
		(void)snprintf(where, sizeof(where), "annotation %s", key);
		r = get_text(annotations, key, where, out, e);
	}
	return r;
}

/* Text that is JSON of an array; the caller owns *out, NULL when it is empty. */
static int parse_array(const char *key, const char *text, json_t **out, struct err *e)
{
	CLEANUP_JSON json_t *array = NULL;
	struct err why;
	*out = NULL;
	if (json_parse(text, strlen(text), &array, &why) < 0 ||
		(!json_is_array(array) && !json_is_null(array)))
		return bad_value(key, text, "a JSON array of strings", e);
	if (json_array_size(array) > 0)
		*out = json_incref(array);
	return 0;
}

static int read_annotated_ips(const json_t *annotations, struct cni_wishes *w, struct err *e)
{
	CLEANUP_JSON json_t *array = NULL;
	char key[ANNOTATION_KEY], where[ANNOTATION_KEY + 16];
	const char *text;
	int r = get_annotation(annotations, "ipAddrs", key, &text, e);
	if (r == 0 && text)
		r = parse_array(key, text, &array, e);
	(void)snprintf(where, sizeof(where), "annotation %s", key);
	return r < 0 ? r : add_ip_array(array, where, w, e);
}

static int read_ips(const json_t *runtime, const json_t *annotations, const json_t *cni,
	const char *args, struct cni_wishes *w, struct err *e)
{
	int r = add_ip_array(json_get_folded(runtime, "ips"), "runtimeConfig.ips", w, e);
	if (r < 0 || w->n_ips > 0)
		return r;
	r = read_annotated_ips(annotations, w, e);
	if (r < 0 || w->n_ips > 0)
		return r;
	r = add_ip_array(json_get_folded(cni, "ips"), "args.cni.ips", w, e);
	if (r < 0 || w->n_ips > 0)
		return r;
	return add_ip_list(args, w, e);
}

static int read_mac(const json_t *runtime, const json_t *annotations, const char *args,
	struct cni_wishes *w, struct err *e)
{
	const char *text = NULL, *where = "runtimeConfig.mac";
	char mac[SHOWN], key[ANNOTATION_KEY], annotation[ANNOTATION_KEY + 16];
	int r = get_text(runtime, "mac", where, &text, e);
	if (r == 0 && !text) {
		r = get_annotation(annotations, "hwAddr", key, &text, e);
		(void)snprintf(annotation, sizeof(annotation), "annotation %s", key);
		where = annotation;
	}
	if (r == 0 && !text && cni_args_get(args, "MAC", mac, sizeof(mac), NULL) && *mac) {
		where = "CNI_ARGS MAC";
		text = mac;
	}
	if (r < 0 || !text)
		return r;
	if (!mac_parse(text, w->mac))
		return bad_value(where, text, "a unicast Ethernet address", e);
	w->has_mac = true;
	return 0;
}

bool cni_args_is_pool(const char *text)
{
	struct cidr c;
	struct err ignored;
	return strchr(text, '/') ? cidr_parse(text, &c, &ignored) == 0 : text_is_dns_name(text);
}

static int parse_pools(const char *key, const char *text, json_t **out, struct err *e)
{
	CLEANUP_JSON json_t *array = NULL;
	int r = parse_array(key, text, &array, e);
	size_t i;
	json_t *value;
	json_array_foreach (array, i, value) {
		if (!json_is_string(value))
			return err_set(e, EINVAL, "%s must be a JSON array of strings", key);
		if (!cni_args_is_pool(json_string_value(value)))
			return bad_value(
				key, json_string_value(value), "a prefix or the name of a pool", e);
	}
	if (r == 0)
		*out = json_incref(array);
	return r;
}

static int parse_families(const char *key, const char *text, struct cni_wishes *w, struct err *e)
{
	static const char *const names[FAMILIES] = {[IPV4] = "IPv4", [IPV6] = "IPv6"};
	CLEANUP_JSON json_t *array = NULL;
	int r = parse_array(key, text, &array, e);
	size_t i;
	json_t *value;
	json_array_foreach (array, i, value) {
		const char *name = json_string_value(value);
		int family = name ? TEXT_INDEX(name, names) : -1;
		if (family < 0)
			return bad_value(key, name ? name : json_type_text(value),
				"one of IPv4 and IPv6", e);
		w->has_families = w->families[family] = true;
	}
	return r;
}

/* Annotations whose pod would be another one than its owner thinks. */
static int refuse_annotations(const json_t *annotations, struct err *e)
{
	static const struct {
		const char *key, *why;
	} refused[] = {
		{CALICO "ipAddrsNoIpam",
			"every address of a pod is one of a pool; ask for one by ipAddrs"},
		{CALICO "floatingIPs", "roost translates no addresses for pods"},
		{CALICO "allowedSourcePrefixes",
			"the host drops what a pod sends from addresses that are not its own"},
	};
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		const json_t *value = json_get_folded(annotations, refused[i].key);
		const char *text = json_string_value(value);
		if (!value || (text && (!*text || strcmp(text, "[]") == 0)))
			continue;
		return err_set(e, EOPNOTSUPP, "annotation %s is not supported: %s", refused[i].key,
			refused[i].why);
	}
	return 0;
}

static void list_unserved(const json_t *annotations, struct cni_wishes *w)
{
	static const char limits[] = "qos.projectcalico.org/";
	struct text t = TEXT_ON(w->unserved);
	const char *key;
	json_t *value = NULL;
	json_object_foreach ((json_t *)annotations, key, value) {
		char clean[128];
		if (strncmp(key, limits, strlen(limits)) != 0)
			continue;
		(void)json_clean(clean, sizeof(clean), key);
		text_add(&t, "%s%s", t.len ? ", " : "", clean);
	}
}

/* What a namespace can say, too. */
static const char *const shared_names[CNI_NAMESPACE_ANNOTATIONS] = {
	[CNI_NAMESPACE_POOLS4] = "ipv4pools",
	[CNI_NAMESPACE_POOLS6] = "ipv6pools",
	[CNI_NAMESPACE_FAMILIES] = "ipFamilies",
};

static int read_annotations(const json_t *annotations, struct cni_wishes *w, struct err *e)
{
	int r = 0;
	for (int i = 0; i < CNI_NAMESPACE_ANNOTATIONS && r == 0; i++) {
		char key[ANNOTATION_KEY];
		const char *text;
		r = get_annotation(annotations, shared_names[i], key, &text, e);
		if (r < 0 || !text)
			continue;
		r = i == CNI_NAMESPACE_FAMILIES
			    ? parse_families(key, text, w, e)
			    : parse_pools(key, text,
				      &w->pools[i == CNI_NAMESPACE_POOLS4 ? IPV4 : IPV6], e);
	}
	if (r == 0)
		r = refuse_annotations(annotations, e);
	if (r == 0)
		list_unserved(annotations, w);
	return r;
}

void cni_args_of_namespace(
	const json_t *annotations, struct cni_annotation out[CNI_NAMESPACE_ANNOTATIONS])
{
	for (int i = 0; i < CNI_NAMESPACE_ANNOTATIONS; i++) {
		struct err ignored;
		const char *text;
		out[i] = (struct cni_annotation){0};
		if (get_annotation(annotations, shared_names[i], out[i].key, &text, &ignored) < 0 ||
			!text)
			out[i].key[0] = '\0';
		else
			(void)text_clean(out[i].text, sizeof(out[i].text), text);
	}
}

int cni_args_add_namespace(struct cni_wishes *w,
	const struct cni_annotation list[CNI_NAMESPACE_ANNOTATIONS], struct err *e)
{
	const struct cni_annotation *families = &list[CNI_NAMESPACE_FAMILIES];
	int r = 0;
	for (enum family f = IPV4; f < FAMILIES && r == 0; f++) {
		const struct cni_annotation *a =
			&list[f == IPV4 ? CNI_NAMESPACE_POOLS4 : CNI_NAMESPACE_POOLS6];
		if (w->pools[f] || !*a->text)
			continue;
		r = parse_pools(a->key, a->text, &w->pools[f], e);
		w->of_namespace[f] = w->pools[f] != NULL;
	}
	if (r == 0 && !w->has_families && *families->text)
		r = parse_families(families->key, families->text, w, e);
	return r;
}

/* Appends the non-empty strings of from[key] as to[name], unless there are none. */
static int copy_strings(const json_t *from, const char *key, const char *where, json_t *to,
	const char *name, struct err *e)
{
	json_t *array = json_get_folded(from, key);
	if (array && !json_is_array(array))
		return err_set(e, EBADMSG, "%s.%s must be an array of strings", where, key);
	CLEANUP_JSON json_t *copy = json_array();
	size_t i;
	json_t *value;
	json_array_foreach (array, i, value) {
		if (!json_is_string(value))
			return err_set(e, EBADMSG, "%s.%s must be an array of strings", where, key);
		if (json_string_length(value) > 0)
			json_array_append(copy, value);
	}
	if (json_array_size(copy) > 0)
		json_object_set(to, name, copy);
	return 0;
}

static int read_dns(const json_t *dns, const char *where, const char *const keys[3], json_t **out,
	struct err *e)
{
	static const char *const names[] = {"nameservers", "search", "options"};
	*out = NULL;
	if (!dns || json_is_null(dns))
		return 0;
	if (!json_is_object(dns))
		return bad_type(where, "an object", e);
	CLEANUP_JSON json_t *copy = json_object();
	for (size_t i = 0; i < 3; i++) {
		int r = copy_strings(dns, keys[i], where, copy, names[i], e);
		if (r < 0)
			return r;
	}
	json_t *domain = json_get_folded(dns, "domain");
	if (domain && !json_is_string(domain))
		return err_set(e, EBADMSG, "%s.domain must be a string", where);
	if (domain && json_string_length(domain) > 0)
		json_object_set(copy, "domain", domain);
	if (json_object_size(copy) > 0)
		*out = json_incref(copy);
	return 0;
}

int cni_args_dns(const json_t *dns, const char *where, json_t **out, struct err *e)
{
	static const char *const keys[] = {"nameservers", "search", "options"};
	return read_dns(dns, where, keys, out, e);
}

/* The capability has other names for the same things (CNI CONVENTIONS.md, "dns"). */
static int read_any_dns(
	const json_t *conf, const json_t *runtime, struct cni_wishes *w, struct err *e)
{
	static const char *const keys[] = {"servers", "searches", "options"};
	int r = read_dns(json_get_folded(runtime, "dns"), "runtimeConfig.dns", keys, &w->dns, e);
	if (r < 0 || w->dns)
		return r;
	return cni_args_dns(json_get_folded(conf, "dns"), "dns", &w->dns, e);
}

static int read_limit(
	const json_t *annotations, const char *key, struct bandwidth *out, struct err *e)
{
	const char *text = NULL;
	char where[64];
	(void)snprintf(where, sizeof(where), "annotation %s", key);
	int r = get_text(annotations, key, where, &text, e);
	return r < 0 || !text ? r : bandwidth_parse(key, text, out, e);
}

/* Runtimes that read the annotations themselves send the capability, which then says the same. */
static int read_limits(
	const json_t *runtime, const json_t *annotations, struct cni_wishes *w, struct err *e)
{
	static const char where[] = "runtimeConfig.bandwidth";
	json_t *object;
	int r = get_object(runtime, "bandwidth", where, &object, e);
	if (r == 0 && object)
		return bandwidth_read(object, where, &w->limits, e);
	if (r == 0)
		r = read_limit(
			annotations, "kubernetes.io/ingress-bandwidth", &w->limits.ingress, e);
	if (r == 0)
		r = read_limit(annotations, "kubernetes.io/egress-bandwidth", &w->limits.egress, e);
	return r;
}

static int read_wishes(const json_t *conf, const char *args, struct cni_wishes *w, struct err *e)
{
	json_t *runtime;
	json_t *annotations;
	json_t *conf_args;
	json_t *cni;
	int r = get_object(conf, "runtimeConfig", "runtimeConfig", &runtime, e);
	if (r == 0)
		r = get_object(runtime, ANNOTATIONS, "runtimeConfig." ANNOTATIONS, &annotations, e);
	if (r == 0)
		r = get_object(conf, "args", "args", &conf_args, e);
	if (r == 0)
		r = get_object(conf_args, "cni", "args.cni", &cni, e);
	if (r == 0)
		r = read_ips(runtime, annotations, cni, args, w, e);
	if (r == 0)
		r = read_labels(json_get_folded(cni, "labels"), w, e);
	if (r == 0)
		r = read_mac(runtime, annotations, args, w, e);
	if (r == 0)
		r = read_annotations(annotations, w, e);
	if (r == 0)
		r = ports_read(json_get_folded(runtime, "portMappings"), &w->ports, &w->n_ports, e);
	if (r == 0)
		r = read_limits(runtime, annotations, w, e);
	if (r >= 0)
		r = read_any_dns(conf, runtime, w, e);
	return r;
}

static void read_name(const char *args, const char *key, char *out, size_t size)
{
	char raw[256];
	bool cut = false;
	if (cni_args_get(args, key, raw, size < sizeof(raw) ? size : sizeof(raw), &cut) && !cut)
		(void)json_clean(out, size, raw);
}

int cni_args_read(const json_t *conf, const char *args, struct cni_wishes *out, struct err *e)
{
	struct cni_wishes names = {0};
	read_name(args, "K8S_POD_NAMESPACE", names.pod_namespace, sizeof(names.pod_namespace));
	read_name(args, "K8S_POD_NAME", names.pod_name, sizeof(names.pod_name));
	read_name(args, "K8S_POD_UID", names.pod_uid, sizeof(names.pod_uid));
	struct cni_wishes w = names;
	int r = read_wishes(conf, args, &w, e);
	if (r < 0) {
		if (*names.pod_name)
			err_details(e, "pod %.128s/%.128s", names.pod_namespace, names.pod_name);
		cni_args_done(&w);
		*out = names;
		return r;
	}
	*out = w;
	return 0;
}

void cni_args_done(struct cni_wishes *w)
{
	for (enum family f = IPV4; f < FAMILIES; f++)
		json_decref(w->pools[f]);
	json_decref(w->dns);
	json_decref(w->labels);
	free(w->ports);
	*w = (struct cni_wishes){0};
}
