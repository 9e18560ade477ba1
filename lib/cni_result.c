/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CNI results of all versions. There are three shapes on the wire:
 *
 *   0.1.0, 0.2.0          ip4 and ip6, one address each, with the routes of that family inside
 *   0.3.0, 0.3.1, 0.4.0   interfaces, ips (with "version"), routes, dns
 *   1.0.0, 1.1.0          the same without "version"; 1.1.0 has more keys
 *
 * Inside there is only the last one. Reading copies the standard keys into new objects, checked and
 * in canonical text (addresses, MACs); unknown keys stay behind, since runtimes drop them anyway
 * and a plugin that relies on them fails later. Printing copies again, less what the version cannot
 * say. So what is printed is always readable by consumers that refuse a whole result for one bad
 * field, and an index of an interface is always one of the list: some runtimes crash otherwise.
 *
 * Versions of one shape are read as each other, like the reference does.
 */
#include "lib/cni_result.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

void cni_result_init(struct cni_result *r)
{
	*r = (struct cni_result){
		.interfaces = json_array(),
		.ips = json_array(),
		.routes = json_array(),
		.dns = json_object(),
	};
}

void cni_result_done(struct cni_result *r)
{
	json_decref(r->interfaces);
	json_decref(r->ips);
	json_decref(r->routes);
	json_decref(r->dns);
	*r = (struct cni_result){0};
}

/*
 * Reading.
 */

static int shape(enum cni_version v)
{
	return v <= CNI_0_2_0 ? 0 : v <= CNI_0_4_0 ? 1 : 2;
}

static int check_version(const json_t *doc, enum cni_version v, struct err *e)
{
	const char *text = NULL;
	int r = json_get_string(doc, "", "cniVersion", &text, e);
	if (r < 0)
		return r;
	if (r == 0 || *text == '\0')
		return 0;
	enum cni_version found;
	if (cni_version_parse(text, &found) < 0 || shape(found) != shape(v)) {
		char shown[32];
		(void)text_clean(shown, sizeof(shown), text);
		return err_set(e, EINVAL, "result has cniVersion \"%s\", expected \"%s\"", shown,
			cni_version_text(v));
	}
	return 0;
}

/* 48 or 64 bits of Ethernet, or the 20 bytes of InfiniBand, in lower case. */
static bool format_hardware_address(const char *s, char out[60])
{
	static const char digits[] = "0123456789abcdefABCDEF";
	size_t len = strlen(s);
	if (len != 17 && len != 23 && len != 59)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (i % 3 == 2 ? s[i] != ':' : !strchr(digits, s[i]))
			return false;
		out[i] = (char)(s[i] >= 'A' && s[i] <= 'F' ? s[i] - 'A' + 'a' : s[i]);
	}
	out[len] = '\0';
	return true;
}

/* Copies an optional string; an empty one is left out. */
static int copy_string(
	const json_t *from, const char *where, const char *key, json_t *to, struct err *e)
{
	const char *s = NULL;
	int r = json_get_string(from, where, key, &s, e);
	if (r > 0 && *s)
		json_put(to, key, json_string(s));
	return r < 0 ? r : 0;
}

/* Copies an optional number; 0 is left out unless it means something else than absent. */
static int copy_number(const json_t *from, const char *where, const char *key, bool keep_zero,
	json_t *to, struct err *e)
{
	int64_t n = 0;
	int r = json_get_number(from, where, key, 0, UINT32_MAX, &n, e);
	if (r > 0 && (n || keep_zero))
		json_put(to, key, json_integer(n));
	return r < 0 ? r : 0;
}

static int copy_cidr(const json_t *from, const char *where, const char *key, json_t *to,
	struct cidr *out, struct err *e)
{
	const char *s = NULL;
	int r = json_get_string(from, where, key, &s, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, EBADMSG, "%s.%s is missing", where, key);
	if (cidr_parse(s, out, e) < 0) {
		err_add(e, "%s.%s", where, key);
		return -EBADMSG;
	}
	json_put(to, key, json_of_cidr(out));
	return 0;
}

/* An optional address under to[name]. */
static int copy_addr(
	const json_t *from, const char *where, const char *key, json_t *to, struct err *e)
{
	const char *s = NULL;
	int r = json_get_string(from, where, key, &s, e);
	if (r <= 0 || *s == '\0')
		return r < 0 ? r : 0;
	struct addr a;
	if (addr_parse(s, &a, e) < 0) {
		err_add(e, "%s.%s", where, key);
		return -EBADMSG;
	}
	json_put(to, key, json_of_addr(&a));
	return 0;
}

static int copy_mac(const json_t *from, const char *where, json_t *to, struct err *e)
{
	const char *s = NULL;
	int r = json_get_string(from, where, "mac", &s, e);
	if (r <= 0 || *s == '\0')
		return r < 0 ? r : 0;
	char text[60];
	if (!format_hardware_address(s, text))
		return err_set(e, EBADMSG, "%s.mac is not a hardware address", where);
	json_put(to, "mac", json_string(text));
	return 0;
}

static int read_interface(
	const json_t *from, const char *where, struct cni_result *r, struct err *e)
{
	CLEANUP_JSON json_t *to = json_object();
	const char *name = "";
	int error = json_get_string(from, where, "name", &name, e);
	if (error < 0)
		return error;
	json_put(to, "name", json_string(name));
	error = copy_mac(from, where, to, e);
	if (error == 0)
		error = copy_number(from, where, "mtu", false, to, e);
	if (error == 0)
		error = copy_string(from, where, "sandbox", to, e);
	if (error == 0)
		error = copy_string(from, where, "socketPath", to, e);
	if (error == 0)
		error = copy_string(from, where, "pciID", to, e);
	if (error == 0)
		json_array_append(r->interfaces, to);
	return error;
}

static int read_ip(const json_t *from, const char *where, struct cni_result *r, struct err *e)
{
	CLEANUP_JSON json_t *to = json_object();
	int64_t index = 0;
	int found = json_get_number(from, where, "interface", 0, INT32_MAX, &index, e);
	if (found < 0)
		return found;
	if (found > 0 && (size_t)index >= json_array_size(r->interfaces))
		return err_set(e, EBADMSG, "%s.interface is %d, but there are %zu interfaces",
			where, (int)index, json_array_size(r->interfaces));
	if (found > 0)
		json_put(to, "interface", json_integer(index));
	struct cidr address;
	int error = copy_cidr(from, where, "address", to, &address, e);
	if (error == 0)
		error = copy_addr(from, where, "gateway", to, e);
	if (error == 0)
		json_array_append(r->ips, to);
	return error;
}

static int read_route(const json_t *from, const char *where, struct cni_result *r, struct err *e)
{
	static const struct {
		const char *key;
		bool keep_zero;
	} numbers[] = {{"mtu", false}, {"advmss", false}, {"priority", false}, {"table", true},
		{"scope", true}};
	CLEANUP_JSON json_t *to = json_object();
	struct cidr dst;
	int error = copy_cidr(from, where, "dst", to, &dst, e);
	if (error == 0)
		error = copy_addr(from, where, "gw", to, e);
	for (size_t i = 0; error == 0 && i < sizeof(numbers) / sizeof(numbers[0]); i++)
		error = copy_number(from, where, numbers[i].key, numbers[i].keep_zero, to, e);
	if (error == 0)
		json_array_append(r->routes, to);
	return error;
}

static int read_array(const json_t *doc, const char *where, const char *key,
	int (*read_one)(const json_t *, const char *, struct cni_result *, struct err *),
	struct cni_result *r, struct err *e)
{
	json_t *array = NULL;
	int error = json_get_array(doc, where, key, &array, e);
	if (error < 0)
		return error;
	size_t i;
	json_t *entry;
	json_array_foreach (array, i, entry) {
		char place[64];
		struct text t = TEXT_ON(place);
		text_add(&t, "%s%s%s[%zu]", where, *where ? "." : "", key, i);
		if (!json_is_object(entry))
			return err_set(e, EBADMSG, "%s must be an object", place);
		error = read_one(entry, place, r, e);
		if (error < 0)
			return error;
	}
	return 0;
}

/* ip4 or ip6 of the first shape. */
static int read_family(
	const json_t *doc, const char *key, int family, struct cni_result *r, struct err *e)
{
	json_t *from = NULL;
	int error = json_get_object(doc, "", key, &from, e);
	if (error <= 0)
		return error;
	CLEANUP_JSON json_t *to = json_object();
	struct cidr address = {0};
	error = copy_cidr(from, key, "ip", to, &address, e);
	if (error < 0)
		return error;
	if (address.addr.family != family)
		return err_set(e, EBADMSG, "%s.ip is of the other family", key);
	error = copy_addr(from, key, "gateway", to, e);
	if (error < 0)
		return error;
	json_object_set(to, "address", json_object_get(to, "ip"));
	json_object_del(to, "ip");
	json_array_append(r->ips, to);
	return read_array(from, key, "routes", read_route, r, e);
}

static int read_body(const json_t *doc, enum cni_version v, struct cni_result *r, struct err *e)
{
	int error;
	if (shape(v) == 0) {
		error = read_family(doc, "ip4", AF_INET, r, e);
		if (error == 0)
			error = read_family(doc, "ip6", AF_INET6, r, e);
	} else {
		error = read_array(doc, "", "interfaces", read_interface, r, e);
		if (error == 0)
			error = read_array(doc, "", "ips", read_ip, r, e);
		if (error == 0)
			error = read_array(doc, "", "routes", read_route, r, e);
	}
	json_t *dns = NULL;
	if (error == 0)
		error = cni_args_dns(json_object_get(doc, "dns"), "dns", &dns, e);
	if (dns) {
		json_decref(r->dns);
		r->dns = dns;
	}
	return error;
}

int cni_result_parse(const json_t *doc, enum cni_version v, struct cni_result *out, struct err *e)
{
	if (!json_is_object(doc))
		return err_set(e, EBADMSG, "a result must be a JSON object");
	int error = check_version(doc, v, e);
	if (error < 0)
		return error;
	struct cni_result r;
	cni_result_init(&r);
	error = read_body(doc, v, &r, e);
	if (error < 0) {
		cni_result_done(&r);
		return error;
	}
	*out = r;
	return 0;
}

/*
 * Building.
 */

size_t cni_result_add_interface(struct cni_result *r, const char *name, const uint8_t *mac,
	const char *sandbox, uint32_t mtu)
{
	json_t *interface = json_object();
	assert(json_is_utf8(name) && (!sandbox || json_is_utf8(sandbox)));
	json_put(interface, "name", json_string(name));
	if (mac) {
		char text[MAC_TEXT];
		mac_format(mac, text);
		json_put(interface, "mac", json_string(text));
	}
	if (mtu)
		json_put(interface, "mtu", json_integer(mtu));
	if (sandbox && *sandbox)
		json_put(interface, "sandbox", json_string(sandbox));
	json_append(r->interfaces, interface);
	return json_array_size(r->interfaces) - 1;
}

static void put_addr(json_t *object, const char *key, const struct addr *a)
{
	if (a && a->family)
		json_put(object, key, json_of_addr(a));
}

void cni_result_add_ip(
	struct cni_result *r, const struct cidr *address, const struct addr *gateway, int interface)
{
	assert(interface < 0 || (size_t)interface < json_array_size(r->interfaces));
	json_t *ip = json_object();
	if (interface >= 0)
		json_put(ip, "interface", json_integer(interface));
	json_put(ip, "address", json_of_cidr(address));
	put_addr(ip, "gateway", gateway);
	json_append(r->ips, ip);
}

void cni_result_add_route(struct cni_result *r, const struct cidr *dst, const struct addr *gw)
{
	json_t *route = json_object();
	json_put(route, "dst", json_of_cidr(dst));
	put_addr(route, "gw", gw);
	json_append(r->routes, route);
}

void cni_result_set_dns(struct cni_result *r, const json_t *dns)
{
	struct err ignored;
	json_t *copy = NULL;
	if (cni_args_dns(dns, "dns", &copy, &ignored) < 0 || !copy)
		return;
	json_decref(r->dns);
	r->dns = copy;
}

/*
 * Printing.
 */

static bool is_ipv6(const json_t *object, const char *key)
{
	return strchr(json_string_value(json_object_get(object, key)), ':');
}

static void move_nonempty(json_t *doc, const char *key, json_t *array)
{
	if (json_array_size(array) > 0)
		json_object_set(doc, key, array);
	json_decref(array);
}

/* A copy of each object with only these keys; NULL: all. */
static json_t *copy_array(const json_t *array, const char *const keys[])
{
	json_t *copies = json_array();
	size_t i;
	json_t *from;
	json_array_foreach (array, i, from) {
		json_t *to = keys ? json_object() : json_copy(from);
		for (size_t k = 0; keys && keys[k]; k++)
			if (json_object_get(from, keys[k]))
				json_object_set(to, keys[k], json_object_get(from, keys[k]));
		json_append(copies, to);
	}
	return copies;
}

static const char *const route_keys[] = {"dst", "gw", NULL};

/* ip4 or ip6 of the first shape: the first address of the family and its routes. */
static void add_family(json_t *doc, const char *key, const struct cni_result *r, bool ipv6)
{
	json_t *family = NULL;
	size_t i;
	json_t *ip;
	json_array_foreach (r->ips, i, ip) {
		if (family || is_ipv6(ip, "address") != ipv6)
			continue;
		family = json_object();
		json_object_set(family, "ip", json_object_get(ip, "address"));
		if (json_object_get(ip, "gateway"))
			json_object_set(family, "gateway", json_object_get(ip, "gateway"));
	}
	if (!family)
		return;
	CLEANUP_JSON json_t *all = copy_array(r->routes, route_keys);
	json_t *routes = json_array();
	json_t *route;
	json_array_foreach (all, i, route)
		if (is_ipv6(route, "dst") == ipv6)
			json_array_append(routes, route);
	move_nonempty(family, "routes", routes);
	json_put(doc, key, family);
}

static void add_lists(json_t *doc, const struct cni_result *r, enum cni_version v)
{
	static const char *const interface_keys[] = {"name", "mac", "sandbox", NULL};
	bool all = v >= CNI_1_1_0;
	json_t *ips = copy_array(r->ips, NULL);
	size_t i;
	json_t *ip;
	json_array_foreach (ips, i, ip)
		if (v < CNI_1_0_0)
			json_put(ip, "version", json_string(is_ipv6(ip, "address") ? "6" : "4"));
	move_nonempty(doc, "interfaces", copy_array(r->interfaces, all ? NULL : interface_keys));
	move_nonempty(doc, "ips", ips);
	move_nonempty(doc, "routes", copy_array(r->routes, all ? NULL : route_keys));
}

int cni_result_format(const struct cni_result *r, enum cni_version v, json_t **out, struct err *e)
{
	CLEANUP_JSON json_t *doc = json_object();
	json_put(doc, "cniVersion", json_string(cni_version_text(v)));
	if (shape(v) == 0) {
		if (json_array_size(r->ips) == 0)
			return err_set(e, EINVAL,
				"version %s of a result needs an address: no valid IP addresses",
				cni_version_text(v));
		add_family(doc, "ip4", r, false);
		add_family(doc, "ip6", r, true);
	} else {
		add_lists(doc, r, v);
	}
	if (json_object_size(r->dns) > 0)
		json_object_set(doc, "dns", r->dns);
	*out = json_incref(doc);
	return 0;
}

int cni_result_print(const struct cni_result *result, enum cni_version v, struct err *e)
{
	CLEANUP_JSON json_t *doc = NULL;
	int error = cni_result_format(result, v, &doc, e);
	if (error < 0)
		return error;
	CLEANUP_FREE char *text = json_text(doc);
	size_t len = strlen(text);
	text[len] = '\n'; /* in the place of the terminator: one write, one document */
	int r = file_write(STDOUT_FILENO, text, len + 1);
	return r < 0 ? err_set(e, EIO, "cannot write the result to stdout: %s", strerror(-r)) : 0;
}
