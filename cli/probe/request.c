/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests. A table for each op says which keys it has and what they may be; what one key alone cannot
 * tell (a port where the kind has none) is judged by the op.
 */
#include "cli/probe/probe_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/schema.h"
#include "lib/text.h"

#define TIMEOUT_MS 2000
#define TRIES 3
#define PROTOCOL 1
#define PORTS_MAX 64
#define MTU_MIN 68

/* ---- Types ---- */

static int request_read_text(const struct schema_at *at, const char *text, void *out)
{
	(void)at;
	*(const char **)out = text;
	return 0;
}

static int request_read_array(const struct schema_at *at, void *out)
{
	if (!json_is_array(at->value))
		return schema_refuse_type(at, "an array");
	*(const json_t **)out = at->value;
	return 0;
}

static bool is_name(const struct schema_at *at, const char *text)
{
	return text_is_name(text) && strlen(text) <= (size_t)at->m->max;
}

static int request_read_name(const struct schema_at *at, const char *text, void *out)
{
	if (!is_name(at, text))
		return err_set(at->reader->e, EINVAL,
			"\"%s\" must be 1 to %d of a-z A-Z 0-9 _ . - and begin with a letter or "
			"digit",
			at->key, (int)at->m->max);
	return request_read_text(at, text, out);
}

static int request_read_capture(const struct schema_at *at, const char *text, void *out)
{
	if (!is_name(at, text))
		return err_set(at->reader->e, EINVAL, "\"%s\" must be a name of at most %d bytes",
			at->key, (int)at->m->max);
	return request_read_text(at, text, out);
}

static int request_read_nonce(const struct schema_at *at, const char *text, void *out)
{
	if (!at->value)
		return err_set(at->reader->e, EINVAL, "\"nonce\" is missing");
	return request_read_text(at, text, out);
}

static int request_read_addr(const struct schema_at *at, const char *text, void *out)
{
	int r = addr_parse(text, out, at->reader->e);
	if (r < 0)
		err_add(at->reader->e, "\"%s\"", at->key);
	return r;
}

struct mapping {
	uint16_t host, container;
	const char *protocol;
};
static const struct schema_type text = {.parse = request_read_text};
#define PORT(field) SCHEMA_AT(struct mapping, field), .min = 1, .max = UINT16_MAX
static const struct schema_member mapping_members[] = {
	{"hostPort", &schema_number, PORT(host)},
	{"containerPort", &schema_number, PORT(container)},
	{"protocol", &text, SCHEMA_POINTER(struct mapping, protocol)},
	{.key = "hostIP"},
};
static const struct schema mapping_form = SCHEMA_OF(mapping_members);

static int request_read_mappings(const struct schema_at *at, void *out)
{
	int r = request_read_array(at, out);
	if (r == 0 && json_array_size(at->value) > PORTS_MAX)
		return err_set(at->reader->e, EINVAL, "more than %d portMappings", PORTS_MAX);
	for (size_t i = 0; r == 0 && i < json_array_size(at->value); i++) {
		const struct schema_at here = schema_element(at, i);
		struct mapping m = {.protocol = ""};
		r = json_is_object(here.value) ? schema_read_object(&here, &mapping_form, &m)
					       : schema_refuse(&here, EINVAL, "is not an object");
		bool known = strcmp(m.protocol, "tcp") == 0 || strcmp(m.protocol, "udp") == 0;
		if (r == 0 && (!m.host || !m.container || !known))
			r = schema_refuse(&here, EINVAL,
				"needs hostPort, containerPort and protocol (tcp or udp)");
	}
	return r;
}

static const struct schema_type array = {.read = request_read_array};
static const struct schema_type addr = {.parse = request_read_addr};
static const struct schema_type name = {.parse = request_read_name};
static const struct schema_type capture = {.parse = request_read_capture};

/* ---- What each op may say ---- */

#define AT(field) SCHEMA_AT(struct probe_request, field)
#define POINTER(field) SCHEMA_POINTER(struct probe_request, field)
#define EVERY                                                                                      \
	{.key = "id"},                                                                             \
	{                                                                                          \
		.key = "op"                                                                        \
	}
#define NAME POINTER(name), .flags = SCHEMA_ALWAYS, .max = PROBE_NAME - 1

static const struct schema_member no_members[] = {EVERY};
static const struct schema_member add_members[] = {
	EVERY,
	{"name", &name, NAME},
	{"confDir", &text, POINTER(conf_dir)},
	{"network", &text, POINTER(network)},
	{"cniPath", &array, POINTER(cni_path)},
	{"portMappings", SCHEMA_READER(request_read_mappings), POINTER(port_mappings)},
};
static const struct schema_member del_members[] = {EVERY, {"name", &name, NAME}};
static const struct schema_member mtu_members[] = {
	EVERY,
	{"name", &name, NAME},
	{"mtu", &schema_number, AT(mtu), .min = MTU_MIN, .max = UINT16_MAX},
};
static const struct schema_member serve_members[] = {EVERY, {"place", &text, POINTER(place)}};
static const struct schema_member try_members[] = {
	EVERY,
	{"from", &text, POINTER(place)},
	{"kind", &text, POINTER(kind)},
	{"to", &addr, AT(to)},
	{"port", &schema_number, AT(port)},
	{"size", &schema_number, AT(size), .max = PROBE_MESSAGE_MAX},
	{"df", &schema_bool, AT(df), .has = SCHEMA_HAS(struct probe_request, has_df)},
	{"timeoutMs", &schema_number, AT(timeout_ms), .min = 1, .max = 10000},
	{"tries", &schema_number, AT(tries), .min = 1, .max = PROBE_TRIES_MAX},
	{"source", &addr, AT(source)},
	{"nonce", &name, POINTER(nonce), .max = PROBE_NONCE - 1},
};
static const struct schema_member received_members[] = {
	EVERY,
	{"place", &text, POINTER(place)},
	{"nonce", SCHEMA_PARSER(request_read_nonce), POINTER(nonce), .flags = SCHEMA_ALWAYS},
};
#define CAPTURE POINTER(capture), .flags = SCHEMA_ALWAYS, .max = PROBE_NAME - 1
static const struct schema_member capture_members[] = {
	EVERY,
	{"capture", &capture, CAPTURE},
	{"what", &text, POINTER(what)},
	{"port", &schema_number, AT(port), .min = 1, .max = UINT16_MAX},
	{"peer", &addr, AT(peer)},
};
static const struct schema_member captured_members[] = {EVERY, {"capture", &capture, CAPTURE}};

/* Who is there. The first one also clears away what killed probes left. */
static int probe_hello(struct probe *p, const struct probe_request *call, struct err *e)
{
	json_t *cleaned = json_array(), *troubles = json_array();
	struct utsname names = {0};
	(void)uname(&names);
	json_put(call->answer, "version", json_of_text(ROOST_VERSION));
	json_put(call->answer, "protocol", json_integer(PROTOCOL));
	json_put(call->answer, "pid", json_integer(getpid()));
	json_put(call->answer, "hostname", json_of_text(names.nodename));
	json_put(call->answer, "kernel", json_of_text(names.release));
	json_put(call->answer, "hasIPv6", json_boolean(access("/proc/net/if_inet6", F_OK) == 0));
	json_put(call->answer, "cleaned", cleaned);
	json_put(call->answer, "troubles", troubles);
	if (p->cleaned)
		return 0;
	p->cleaned = true;
	return probe_attach_clean(p->dirs.list[0], cleaned, troubles, e);
}

static const struct {
	const char *name;
	probe_op *run;
	struct schema form;
} ops[] = {
	{"hello", probe_hello, SCHEMA_OF(no_members)},
	{"look", probe_facts, SCHEMA_OF(no_members)},
	{"pod-add", probe_pod_add, SCHEMA_OF(add_members)},
	{"pod-del", probe_pod_del, SCHEMA_OF(del_members)},
	{"pod-mtu", probe_pod_mtu, SCHEMA_OF(mtu_members)},
	{"serve", probe_serve, SCHEMA_OF(serve_members)},
	{"try", probe_try_start, SCHEMA_OF(try_members)},
	{"received", probe_received, SCHEMA_OF(received_members)},
	{"capture", probe_capture_start, SCHEMA_OF(capture_members)},
	{"captured", probe_captured, SCHEMA_OF(captured_members)},
};
#define N_OPS (sizeof(ops) / sizeof(ops[0]))

static int request_refuse_op(const char *op, struct err *e)
{
	char shown[40];
	(void)json_clean(shown, sizeof(shown), op);
	(void)err_set(e, EOPNOTSUPP, "unknown op \"%s\"", shown);
	struct text list = TEXT_ON(e->details);
	text_add(&list, "known ops:");
	for (size_t i = 0; i < N_OPS; i++)
		text_add(&list, " %s", ops[i].name);
	text_add(&list, " end");
	return -EOPNOTSUPP;
}

int probe_request_run(
	struct probe *p, json_int_t id, const char *op, const json_t *doc, struct err *e)
{
	const struct schema_reader reader = {
		.document = "the request", .unknown = schema_unknown, .element = "is not", .e = e};
	CLEANUP_JSON json_t *answer = json_object();
	struct probe_request call = {
		.id = id,
		.answer = answer,
		.place = "",
		.what = "",
		.kind = "",
		.timeout_ms = TIMEOUT_MS,
		.tries = TRIES,
	};
	size_t i = 0;
	while (i < N_OPS && strcmp(ops[i].name, op) != 0)
		i++;
	if (i == N_OPS)
		return request_refuse_op(op, e);
	int r = schema_read_as(&reader, &ops[i].form, doc, &call);
	if (r == 0)
		r = ops[i].run(p, &call, e);
	if (r == 0)
		probe_answer(p, id, json_incref(answer));
	return r;
}
