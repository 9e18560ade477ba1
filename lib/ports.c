/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runtimes write the same mapping in several ways: protocols in capitals, keys in CamelCase, hostIP "" or
 * "0.0.0.0" for every address. 0.0.0.0 and :: are of one family, as a socket's address would be.
 *
 * Two entries that are the same are one: Kubernetes lets a pod name a port twice. Two that differ in the pod's
 * port alone are refused, as only one of them could be.
 */
#include "lib/ports.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define WHERE 64
#define SHOWN 64

static const struct {
	const char *name;
	uint8_t proto;
} protocols[] = {
	{"tcp", IPPROTO_TCP},
	{"udp", IPPROTO_UDP},
	{"sctp", IPPROTO_SCTP},
};

static int port_number(
	const json_t *entry, const char *where, const char *key, uint16_t *out, struct err *e)
{
	const json_t *value = json_get_folded(entry, key);
	*out = 0;
	if (value && !json_is_integer(value))
		return err_set(e, EBADMSG, "%s.%s must be a number", where, key);
	json_int_t number = value ? json_integer_value(value) : 0;
	if (number < 0 || number > UINT16_MAX)
		return err_set(e, EINVAL, "%s.%s is %lld, which is no port", where, key,
			(long long)number);
	*out = (uint16_t)number;
	return 0;
}

static int port_text(
	const json_t *entry, const char *where, const char *key, const char **out, struct err *e)
{
	const json_t *value = json_get_folded(entry, key);
	if (value && !json_is_string(value))
		return err_set(e, EBADMSG, "%s.%s must be a string", where, key);
	*out = value ? json_string_value(value) : "";
	return 0;
}

static int port_wrong(
	const char *where, const char *key, const char *value, const char *wanted, struct err *e)
{
	char shown[SHOWN];
	(void)text_clean(shown, sizeof(shown), value);
	return err_set(e, EINVAL, "%s.%s \"%s\" is not %s", where, key, shown, wanted);
}

static int port_protocol(const json_t *entry, const char *where, uint8_t *out, struct err *e)
{
	const char *text = "";
	int r = port_text(entry, where, "protocol", &text, e);
	if (r < 0)
		return r;
	*out = *text ? 0 : IPPROTO_TCP;
	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++)
		if (strcasecmp(text, protocols[i].name) == 0)
			*out = protocols[i].proto;
	return *out ? 0 : port_wrong(where, "protocol", text, "one of tcp, udp, sctp", e);
}

static int port_address(const json_t *entry, const char *where, struct addr *out, struct err *e)
{
	const char *text = "";
	struct err ignored;
	int r = port_text(entry, where, "hostIP", &text, e);
	*out = (struct addr){0};
	if (r < 0 || !*text)
		return r;
	return addr_parse(text, out, &ignored) < 0
		       ? port_wrong(where, "hostIP", text, "an address", e)
		       : 0;
}

/* 1; 0: it asks for nothing. */
static int port_read(const json_t *entry, const char *where, struct port *out, struct err *e)
{
	struct port p = {0};
	if (!json_is_object(entry))
		return err_set(e, EBADMSG, "%s must be an object", where);
	int r = port_number(entry, where, "hostPort", &p.host, e);
	if (r < 0 || !p.host)
		return r;
	r = port_number(entry, where, "containerPort", &p.pod, e);
	if (r >= 0 && !p.pod)
		r = err_set(e, EINVAL, "%s.containerPort is missing", where);
	if (r >= 0)
		r = port_protocol(entry, where, &p.proto, e);
	if (r >= 0)
		r = port_address(entry, where, &p.at, e);
	*out = p;
	return r < 0 ? r : 1;
}

/* 1: it is new. */
static int port_compare(
	const struct port *list, size_t n, const struct port *p, const char *where, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct port twin = list[i];
		if (port_equal(&twin, p))
			return 0;
		twin.pod = p->pod;
		if (port_equal(&twin, p))
			return err_set(e, EINVAL,
				"%s leads host port %s to port %u of the pod, and an entry before "
				"it to port %u",
				where, PORT_STRING(p), p->pod, list[i].pod);
	}
	return 1;
}

int ports_read(const json_t *mappings, struct port **out, size_t *n, struct err *e)
{
	CLEANUP_FREE struct port *list = NULL;
	size_t count = 0, i;
	const json_t *entry;
	*out = NULL;
	*n = 0;
	if (!mappings || json_is_null(mappings))
		return 0;
	if (!json_is_array(mappings))
		return err_set(e, EBADMSG, "runtimeConfig.portMappings must be an array");
	list = mem_new(json_array_size(mappings) < PORTS_OF_POD ? json_array_size(mappings) + 1
								: PORTS_OF_POD + 1,
		sizeof(*list));
	json_array_foreach (mappings, i, entry) {
		char where[WHERE];
		(void)snprintf(where, sizeof(where), "runtimeConfig.portMappings[%zu]", i);
		int r = port_read(entry, where, &list[count], e);
		if (r > 0)
			r = port_compare(list, count, &list[count], where, e);
		if (r < 0)
			return r;
		count += (size_t)r;
		if (count > PORTS_OF_POD)
			return err_set(e, EINVAL,
				"runtimeConfig.portMappings: more than %d host ports of one pod",
				PORTS_OF_POD);
	}
	if (count) {
		*out = list;
		list = NULL;
	}
	*n = count;
	return 0;
}

bool port_is_of(const struct port *p, uint8_t family)
{
	return !p->at.family || p->at.family == family;
}

bool port_is_any(const struct port *p)
{
	static const struct addr zero;
	return !p->at.family || memcmp(p->at.bytes, zero.bytes, addr_size(&p->at)) == 0;
}

bool port_is_local(const struct port *p, uint8_t family)
{
	static const struct addr loopback6 = {.family = AF_INET6, .bytes = {[15] = 1}};
	if (!port_is_of(p, family) || port_is_any(p))
		return port_is_of(p, family);
	return family == AF_INET ? p->at.bytes[0] == 127 : addr_equal(&p->at, &loopback6);
}

bool port_equal(const struct port *a, const struct port *b)
{
	bool same = a->at.family == b->at.family && (!a->at.family || addr_equal(&a->at, &b->at));
	return same && a->proto == b->proto && a->host == b->host && a->pod == b->pod;
}

const char *port_format(const struct port *p, char out[PORT_TEXT])
{
	const char *proto = "?";
	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++)
		if (protocols[i].proto == p->proto)
			proto = protocols[i].name;
	if (!p->at.family)
		(void)snprintf(out, PORT_TEXT, "%u/%s", p->host, proto);
	else
		(void)snprintf(out, PORT_TEXT, p->at.family == AF_INET6 ? "[%s]:%u/%s" : "%s:%u/%s",
			ADDR_STRING(&p->at), p->host, proto);
	return out;
}

void ports_list_add(struct ports_list *l, const struct hash *owner, const struct port *p)
{
	l->owners = mem_grow(l->owners, &l->room_owners, l->n, sizeof(*l->owners));
	l->v = mem_grow(l->v, &l->room, l->n, sizeof(*l->v));
	l->owners[l->n] = *owner;
	l->v[l->n++] = *p;
}

void ports_list_done(struct ports_list *l)
{
	free(l->owners);
	free(l->v);
	*l = (struct ports_list){0};
}

const struct port *ports_list_of(const struct ports_list *l, const struct hash *owner, size_t *n)
{
	size_t first = 0;
	while (first < l->n && !hash_equal(&l->owners[first], owner))
		first++;
	size_t end = first;
	while (end < l->n && hash_equal(&l->owners[end], owner))
		end++;
	*n = end - first;
	return *n ? &l->v[first] : NULL;
}
