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
#include "lib/schema.h"
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

static bool is_ipv6(const json_t *object, const char *key)
{
	return strchr(json_string_value(json_object_get(object, key)), ':');
}

/*
 * Reading: every type puts a canonical copy of its member into the object *out.
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

/* An empty text is left out, unless it is always there. So is 0 where it is as good as absent. */
static int copy_text(const struct schema_at *at, const char *text, void *out)
{
	if (*text || at->m->flags & SCHEMA_ALWAYS)
		json_put(out, at->m->key, json_string(text));
	return 0;
}

/* 48 or 64 bits of Ethernet, or the 20 bytes of InfiniBand, in lower case. */
static int copy_mac(const struct schema_at *at, const char *text, void *out)
{
	char copy[60] = "";
	size_t len = strlen(text);
	bool valid = len == 0 || len == 17 || len == 23 || len == 59;
	for (size_t i = 0; valid && i < len; i++) {
		valid = i % 3 == 2 ? text[i] == ':' : text_hex_digit(text[i]) >= 0;
		copy[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] - 'A' + 'a' : text[i]);
	}
	return valid ? copy_text(at, copy, out)
		     : schema_refuse(at, EBADMSG, "is not a hardware address");
}

static int copy_number(const struct schema_at *at, void *out)
{
	int64_t n = 0;
	int r = schema_get_number(at, 0, at->m->max, &n);
	if (r == 0 && (n || !(at->m->flags & SCHEMA_EMPTY)))
		json_put(out, at->m->key, json_integer(n));
	return r;
}

/* Of an address in "ips": at is below its object, that below the list, that below the result. */
static int copy_index(const struct schema_at *at, void *out)
{
	const json_t *result = at->above->above->above->value;
	size_t n = json_array_size(json_object_get(result, "interfaces"));
	int r = copy_number(at, out);
	if (r == 0 && (size_t)json_integer_value(at->value) >= n)
		return schema_refuse(at, EBADMSG, "is %d, but there are %zu interfaces",
			(int)json_integer_value(at->value), n);
	return r;
}

/* r: of a parser, whose error is without the place. */
static int result_add_place(const struct schema_at *at, int r)
{
	char place[SCHEMA_PLACE];
	schema_place(at, place);
	if (r < 0)
		err_add(at->reader->e, "%s", place);
	return r < 0 ? -EBADMSG : 0;
}

static int copy_cidr(const struct schema_at *at, const char *text, void *out)
{
	struct cidr c;
	if (!at->value)
		return schema_refuse(at, EBADMSG, "is missing");
	int r = cidr_parse(text, &c, at->reader->e);
	if (r == 0)
		json_put(out, at->m->key, json_of_cidr(&c));
	return result_add_place(at, r);
}

static int copy_addr(const struct schema_at *at, const char *text, void *out)
{
	struct addr a;
	if (*text == '\0')
		return 0;
	int r = addr_parse(text, &a, at->reader->e);
	if (r == 0)
		json_put(out, at->m->key, json_of_addr(&a));
	return result_add_place(at, r);
}

static int copy_list(const struct schema_at *at, void *out)
{
	if (!json_is_array(at->value))
		return schema_refuse_type(at, "an array");
	json_t *list = json_array();
	json_put(out, at->m->key, list);
	int r = 0;
	for (size_t i = 0; r == 0 && i < json_array_size(at->value); i++) {
		const struct schema_at element = schema_element(at, i);
		json_append(list, json_object());
		r = schema_read_object(&element, at->m->schema, json_array_get(list, i));
	}
	return r;
}

static int copy_family(const struct schema_at *at, void *out)
{
	json_t *copy = json_object();
	json_put(out, at->m->key, copy);
	int r = schema_read_object(at, at->m->schema, copy);
	if (r == 0 && is_ipv6(copy, "ip") != (at->m->family == AF_INET6))
		return schema_refuse(SCHEMA_IN(at, "ip"), EBADMSG, "is of the other family");
	return r;
}

static int copy_dns(const struct schema_at *at, void *out)
{
	json_t *dns = NULL;
	int r = cni_args_dns(at->value, at->m->key, &dns, at->reader->e);
	if (dns)
		json_put(out, at->m->key, dns);
	return r;
}

#define TEXT(name, copy, ...)                                                                      \
	{                                                                                          \
		.key = (name), .type = SCHEMA_PARSER(copy), __VA_ARGS__                            \
	}
#define VALUE(name, copy, ...)                                                                     \
	{                                                                                          \
		.key = (name), .type = SCHEMA_READER(copy), __VA_ARGS__                            \
	}
#define NUMBER(name, ...) VALUE(name, copy_number, .max = UINT32_MAX, __VA_ARGS__)
#define OBJECTS(members) .schema = &(const struct schema)SCHEMA_OF(members)

static const struct schema_member interface_members[] = {
	TEXT("name", copy_text, .flags = SCHEMA_ALWAYS),
	TEXT("mac", copy_mac),
	NUMBER("mtu", .flags = SCHEMA_EMPTY),
	TEXT("sandbox", copy_text),
	TEXT("socketPath", copy_text),
	TEXT("pciID", copy_text),
};
static const struct schema_member ip_members[] = {
	VALUE("interface", copy_index, .max = INT32_MAX),
	TEXT("address", copy_cidr, .flags = SCHEMA_ALWAYS),
	TEXT("gateway", copy_addr),
};
static const struct schema_member route_members[] = {
	TEXT("dst", copy_cidr, .flags = SCHEMA_ALWAYS),
	TEXT("gw", copy_addr),
	NUMBER("mtu", .flags = SCHEMA_EMPTY),
	NUMBER("advmss", .flags = SCHEMA_EMPTY),
	NUMBER("priority", .flags = SCHEMA_EMPTY),
	NUMBER("table"),
	NUMBER("scope"),
};
static const struct schema_member family_members[] = {
	TEXT("ip", copy_cidr, .flags = SCHEMA_ALWAYS),
	TEXT("gateway", copy_addr),
	VALUE("routes", copy_list, OBJECTS(route_members)),
};
static const struct schema_member first_members[] = {
	VALUE("ip4", copy_family, .family = AF_INET, OBJECTS(family_members)),
	VALUE("ip6", copy_family, .family = AF_INET6, OBJECTS(family_members)),
	VALUE("dns", copy_dns),
};
static const struct schema_member later_members[] = {
	VALUE("interfaces", copy_list, OBJECTS(interface_members)),
	VALUE("ips", copy_list, OBJECTS(ip_members)),
	VALUE("routes", copy_list, OBJECTS(route_members)),
	VALUE("dns", copy_dns),
};
static const struct schema first_shape = SCHEMA_OF(first_members);
static const struct schema later_shape = SCHEMA_OF(later_members);

/* Absent lists (NULL) add nothing. */
static void take_family(struct cni_result *r, const json_t *of)
{
	if (!of)
		return;
	json_t *to = json_object();
	json_object_set(to, "gateway", json_object_get(of, "gateway"));
	json_object_set(to, "address", json_object_get(of, "ip"));
	json_append(r->ips, to);
	json_array_extend(r->routes, json_object_get(of, "routes"));
}

int cni_result_parse(const json_t *doc, enum cni_version v, struct cni_result *out, struct err *e)
{
	CLEANUP_JSON json_t *copy = json_object();
	const struct schema_reader reader = {.element = "must be", .e = e};
	if (!json_is_object(doc))
		return err_set(e, EBADMSG, "a result must be a JSON object");
	int error = check_version(doc, v, e);
	if (error == 0)
		error = schema_read_as(
			&reader, shape(v) == 0 ? &first_shape : &later_shape, doc, copy);
	if (error < 0)
		return error;
	cni_result_init(out);
	take_family(out, json_object_get(copy, "ip4"));
	take_family(out, json_object_get(copy, "ip6"));
	json_array_extend(out->interfaces, json_object_get(copy, "interfaces"));
	json_array_extend(out->ips, json_object_get(copy, "ips"));
	json_array_extend(out->routes, json_object_get(copy, "routes"));
	json_object_update(out->dns, json_object_get(copy, "dns"));
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
 * Printing. What is absent (NULL) sets nothing in a copy.
 */

/* Copies each object with these keys only (NULL: all) into a list, which is there if any is. */
static json_t *put_copies(
	json_t *doc, const char *key, const json_t *array, const char *const keys[])
{
	json_t *copies = json_array();
	size_t i;
	json_t *from;
	json_array_foreach (array, i, from) {
		json_t *to = keys ? json_object() : json_copy(from);
		for (size_t k = 0; keys && keys[k]; k++)
			json_object_set(to, keys[k], json_object_get(from, keys[k]));
		json_append(copies, to);
	}
	if (i > 0)
		json_object_set(doc, key, copies);
	json_decref(copies);
	return json_object_get(doc, key);
}

static const char *const route_keys[] = {"dst", "gw", NULL};

static json_t *list_of_family(const json_t *array, const char *key, bool ipv6)
{
	json_t *list = json_array();
	size_t i;
	json_t *entry;
	json_array_foreach (array, i, entry)
		if (is_ipv6(entry, key) == ipv6)
			json_array_append(list, entry);
	return list;
}

/* ip4 or ip6 of the first shape: the first address of the family and its routes. */
static void put_family(json_t *doc, const char *key, const struct cni_result *r, bool ipv6)
{
	CLEANUP_JSON json_t *ips = list_of_family(r->ips, "address", ipv6);
	CLEANUP_JSON json_t *routes = list_of_family(r->routes, "dst", ipv6);
	const json_t *first = json_array_get(ips, 0);
	if (!first)
		return;
	json_t *to = json_object();
	json_put(doc, key, to);
	json_object_set(to, "ip", json_object_get(first, "address"));
	json_object_set(to, "gateway", json_object_get(first, "gateway"));
	(void)put_copies(to, "routes", routes, route_keys);
}

static void put_lists(json_t *doc, const struct cni_result *r, enum cni_version v)
{
	static const char *const interface_keys[] = {"name", "mac", "sandbox", NULL};
	bool all = v >= CNI_1_1_0;
	(void)put_copies(doc, "interfaces", r->interfaces, all ? NULL : interface_keys);
	json_t *ips = put_copies(doc, "ips", r->ips, NULL);
	size_t i;
	json_t *one;
	json_array_foreach (ips, i, one)
		if (v < CNI_1_0_0)
			json_put(one, "version", json_string(is_ipv6(one, "address") ? "6" : "4"));
	(void)put_copies(doc, "routes", r->routes, all ? NULL : route_keys);
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
		put_family(doc, "ip4", r, false);
		put_family(doc, "ip6", r, true);
	} else {
		put_lists(doc, r, v);
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
