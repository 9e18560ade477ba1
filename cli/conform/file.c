/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a cluster file. It is written by the operator, who runs what it says; so what is checked
 * is its form, to find slips: unknown keys, wrong types, two nodes of one name. A complaint says
 * the place in words, line and column.
 *
 * A run without a file makes the same document out of the store's nodes and reads that: one way
 * in.
 */
#include "cli/conform/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/schema.h"
#include "lib/text.h"
#include "lib/yaml.h"

#define PODS_DEFAULT 2
#define HOST_PORT 27007 /* below the ports that kernels give out by themselves */
#define SETTLE_S 10
#define SELF "/proc/self/exe"

static int file_refuse_key(const struct schema_at *member, const struct schema *s)
{
	(void)schema_refuse(member, EINVAL, "is no key of a cluster file");
	schema_add_meant(member->key, s, member->reader->e);
	return -EINVAL;
}

/* ---- Types. Texts and lists are the document's ---- */

static int file_read_word(const struct schema_at *at, const char *text, void *out)
{
	if (!*text)
		return schema_refuse(at, EINVAL, "is empty");
	*(const char **)out = text;
	return 0;
}

static int file_read_host_name(const struct schema_at *at, const char *text, void *out)
{
	if (*text && (!text_is_name(text) || strlen(text) > 253))
		return schema_refuse(at, EINVAL, "is no name");
	return file_read_word(at, text, out);
}

static int file_read_words(const struct schema_at *at, void *out)
{
	if (!json_is_array(at->value))
		return schema_refuse_type(at, "an array");
	if (json_array_size(at->value) > CONFORM_WORDS)
		return schema_refuse(at, EINVAL, "has too many words");
	for (size_t i = 0; i < json_array_size(at->value); i++) {
		const struct schema_at here = schema_element(at, i);
		const char *text = json_string_value(json_array_get(at->value, i));
		if (!text || !*text)
			return schema_refuse(&here, EINVAL, "is not a text");
	}
	*(const json_t **)out = at->value;
	return 0;
}

static const struct schema_type word = {.parse = file_read_word};
static const struct schema_type host_name = {.parse = file_read_host_name};
static const struct schema_type words = {.read = file_read_words};

/* ---- Hosts ---- */

struct host_document {
	struct conform_host host;
	const json_t *command, *options;
	const char *roostctl;
	bool routed;
};
#define HOST(field) SCHEMA_POINTER(struct host_document, field)
#define HOST_MEMBERS                                                                               \
	{"name", &host_name, HOST(host.name)}, {"command", &words, HOST(command)},                 \
		{"roostctl", &word, HOST(roostctl)},                                               \
	{                                                                                          \
		"options", &words, HOST(options)                                                   \
	}
static const struct schema_member node_members[] = {
	HOST_MEMBERS,
	{"confDir", &word, HOST(host.conf_dir)},
	{"network", &word, HOST(host.network)},
	{"cniPath", &words, HOST(host.cni_path)},
};
static const struct schema_member outside_members[] = {
	HOST_MEMBERS,
	{"routed", &schema_bool, HOST(routed)},
};
static const struct schema node_form = SCHEMA_OF(node_members),
			   outside_form = SCHEMA_OF(outside_members);

static size_t file_add_words(const char **to, size_t n, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		to[n++] = json_string_value(json_array_get(list, i));
	return n;
}

/* Its command: PREFIX... ROOSTCTL probe OPTIONS... */
static struct conform_host file_make_host(const struct host_document *d)
{
	struct conform_host h = d->host;
	size_t n = 0, n_prefix = json_array_size(d->command);
	h.is_local = n_prefix == 0;
	h.arguments = mem_new(n_prefix + json_array_size(d->options) + 3, sizeof(*h.arguments));
	n = file_add_words(h.arguments, n, d->command);
	h.arguments[n++] = d->roostctl ? d->roostctl : h.is_local ? SELF : "roostctl";
	h.arguments[n++] = "probe";
	(void)file_add_words(h.arguments, n, d->options);
	return h;
}

static bool file_has_name(const struct conform_file *f, const char *name)
{
	for (size_t i = 0; *name && i < f->n_nodes; i++)
		if (strcmp(f->nodes[i].name, name) == 0)
			return true;
	return false;
}

static int file_read_nodes(const struct schema_at *at, void *out)
{
	struct conform_file *f = out;
	size_t n = json_array_size(at->value);
	if (at->value && !json_is_array(at->value))
		return schema_refuse_type(at, "an array");
	if (n == 0)
		return schema_refuse(at, EINVAL, "must list the hosts to test");
	if (n > CONFORM_NODES)
		return schema_refuse(at, EINVAL, "are too many: 200 at most");
	f->nodes = mem_new(n, sizeof(*f->nodes));
	for (size_t i = 0; i < n; i++) {
		const struct schema_at here = schema_element(at, i);
		struct host_document d = {.host.name = ""};
		int r = schema_read_object(&here, &node_form, &d);
		if (r < 0)
			return r;
		if (file_has_name(f, d.host.name))
			return schema_refuse(
				SCHEMA_IN(&here, "name"), EINVAL, "is another node's, too");
		f->nodes[f->n_nodes++] = file_make_host(&d);
	}
	return 0;
}

static int file_read_outside(const struct schema_at *at, void *out)
{
	struct conform_file *f = out;
	struct host_document d = {.host.name = "", .routed = true};
	int r = schema_read_object(at, &outside_form, &d);
	if (r < 0)
		return r;
	f->has_outside = true;
	f->routed = d.routed;
	f->outside = file_make_host(&d);
	return 0;
}

/* ---- The file ---- */

static int file_read_families(const struct schema_at *at, void *out)
{
	bool *families = out;
	if (!json_is_array(at->value))
		return schema_refuse_type(at, "an array");
	families[IPV4] = families[IPV6] = false;
	for (size_t i = 0; i < json_array_size(at->value); i++) {
		json_int_t v = json_integer_value(json_array_get(at->value, i));
		if (v != 4 && v != 6)
			return schema_refuse(at, EINVAL, "are 4, 6, or both");
		families[v == 4 ? IPV4 : IPV6] = true;
	}
	return json_array_size(at->value) ? 0 : schema_refuse(at, EINVAL, "are 4, 6, or both");
}

#define AT(field) SCHEMA_AT(struct conform_file, field)
static const struct schema_member file_members[] = {
	{"nodes", SCHEMA_READER(file_read_nodes), .flags = SCHEMA_ALWAYS},
	{.key = "outside", .type = SCHEMA_READER(file_read_outside)},
	{"families", SCHEMA_READER(file_read_families), AT(families)},
	{"pods", &schema_number, AT(pods), .min = 1, .max = CONFORM_PODS},
	{"hostPort", &schema_number, AT(host_port), .min = 1, .max = UINT16_MAX},
	{"settleSeconds", &schema_number, AT(settle_s), .max = 3600},
	{"seed", &schema_number, AT(seed), .has = SCHEMA_HAS(struct conform_file, has_seed)},
};
static const struct schema file_form = SCHEMA_OF(file_members);

/* Takes doc over. */
static int file_read_file(
	json_t *doc, char where[SCHEMA_PLACE], struct conform_file *out, struct err *e)
{
	const struct schema_reader reader = {
		.unknown = file_refuse_key, .element = "is not", .where = where, .e = e};
	struct conform_file f = {
		.doc = doc,
		.routed = true,
		.families = {true, true},
		.pods = PODS_DEFAULT,
		.host_port = HOST_PORT,
		.settle_s = SETTLE_S,
	};
	int r = json_is_object(doc)
			? schema_read_as(&reader, &file_form, doc, &f)
			: err_set(e, EINVAL, "a cluster file is an object with the key \"nodes\"");
	if (r < 0)
		conform_file_done(&f);
	else
		*out = f;
	return r;
}

int conform_file_parse(const char *bytes, size_t len, struct conform_file *out, struct err *e)
{
	struct yaml_file *yaml = NULL;
	char where[SCHEMA_PLACE] = "";
	int r = yaml_parse(bytes, len, &yaml, e);
	if (r < 0)
		return r;
	if (yaml_count(yaml) != 1) {
		r = err_set(e, EINVAL, "a cluster file is one document, this has %zu",
			yaml_count(yaml));
	} else {
		r = file_read_file(json_incref(yaml_document(yaml, 0)), where, out, e);
		if (r < 0)
			err_add(e, "line %u, column %u", yaml_line(yaml, 0, where),
				yaml_column(yaml, 0, where));
	}
	yaml_file_free(yaml);
	return r;
}

/* ---- Without a file ---- */

/* The options that this command was given, so that the probe looks where we look. */
static json_t *file_local_options(const struct options *o)
{
	const char *const all[][2] = {{"--config", o->config}, {"--state-dir", o->state_dir}};
	json_t *list = json_array();
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (size_t k = 0; all[i][1] && k < 2; k++)
			json_append(list, json_string(all[i][k]));
	return list;
}

static json_t *file_node_json(
	const struct inventory_node *n, const char *local, const struct options *o)
{
	const struct addr *a = n->spec.addr[IPV4].addr.family ? &n->spec.addr[IPV4].addr
							      : &n->spec.addr[IPV6].addr;
	char target[ADDR_TEXT + 8];
	json_t *node = json_object(), *command = json_array();
	json_put(node, "name", json_string(n->name));
	json_put(node, "command", command);
	if (strcmp(n->name, local) == 0) {
		json_put(node, "options", file_local_options(o));
		return node;
	}
	(void)snprintf(target, sizeof(target), "root@%s", ADDR_STRING(a));
	json_append(command, json_string("ssh"));
	json_append(command, json_string(target));
	return node;
}

int conform_file_from_store(const struct inventory *v, const char *local, const struct options *o,
	struct conform_file *out, struct err *e)
{
	char where[SCHEMA_PLACE];
	json_t *doc = json_object(), *nodes = json_array();
	json_put(doc, "nodes", nodes);
	for (size_t i = 0; i < v->n_nodes; i++) {
		const struct inventory_node *n = &v->nodes[i];
		if (n->spec.addr[IPV4].addr.family || n->spec.addr[IPV6].addr.family)
			json_append(nodes, file_node_json(n, local, o));
	}
	if (json_array_size(nodes))
		return file_read_file(doc, where, out, e);
	json_decref(doc);
	return err_set(e, ENOENT, "the store knows no node");
}

void conform_file_done(struct conform_file *f)
{
	for (size_t i = 0; i < f->n_nodes; i++)
		free(f->nodes[i].arguments);
	free(f->nodes);
	free(f->outside.arguments);
	json_decref(f->doc);
	*f = (struct conform_file){0};
}
