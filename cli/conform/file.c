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
#include "lib/text.h"
#include "lib/yaml.h"

#define PODS_DEFAULT 2
#define HOST_PORT 27007 /* below the ports that kernels give out by themselves */
#define SETTLE_S 10
#define SELF "/proc/self/exe"

/* Where the reader is, for complaints. */
struct reader {
	char place[192];
	struct err *e;
};

static void go_to(struct reader *r, const char *where, const char *key)
{
	(void)snprintf(r->place, sizeof(r->place), "%s%s%s", where, *where && *key ? "." : "", key);
}

static int refuse(const struct reader *r, const char *sentence)
{
	return err_set(r->e, EINVAL, "%s%s%s", r->place, *r->place ? " " : "", sentence);
}

static int check_keys(
	struct reader *r, const json_t *object, const char *where, const char *const known[])
{
	const char *key = NULL;
	json_t *value = NULL;
	json_object_foreach ((json_t *)object, key, value) {
		size_t i = 0;
		char name[64];
		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (known[i])
			continue;
		(void)json_clean(name, sizeof(name), key);
		go_to(r, where, name);
		return refuse(r, "is no key of a cluster file");
	}
	return 0;
}

/* A text that is not empty; absent leaves *out alone. */
static int get_text(
	struct reader *r, const json_t *o, const char *where, const char *key, const char **out)
{
	go_to(r, where, key);
	int found = json_get_string(o, where, key, out, r->e);
	return found > 0 && !**out ? refuse(r, "is empty") : found < 0 ? found : 0;
}

/* A list of texts; *out NULL when it is absent. */
static int get_texts(
	struct reader *r, const json_t *o, const char *where, const char *key, json_t **out)
{
	json_t *list = NULL, *item = NULL;
	size_t i = 0;
	go_to(r, where, key);
	int found = json_get_array(o, where, key, &list, r->e);
	if (found < 0)
		return found;
	if (json_array_size(list) > CONFORM_WORDS)
		return refuse(r, "has too many words");
	json_array_foreach (list, i, item) {
		char index[96];
		(void)snprintf(index, sizeof(index), "%.64s[%zu]", key, i);
		go_to(r, where, index);
		if (!json_is_string(item) || !*json_string_value(item))
			return refuse(r, "is not a text");
	}
	*out = list;
	return 0;
}

static int get_number(
	struct reader *r, const json_t *o, const char *key, int64_t min, int64_t max, int64_t *out)
{
	go_to(r, "", key);
	return json_get_number(o, "", key, min, max, out, r->e);
}

static size_t add_words(const char **words, size_t n, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		words[n++] = json_string_value(json_array_get(list, i));
	return n;
}

/* PREFIX... ROOSTCTL probe OPTIONS... */
static int take_command(
	struct reader *r, const json_t *o, const char *where, struct conform_host *h)
{
	json_t *prefix = NULL, *options = NULL;
	const char *program = NULL;
	int error = get_texts(r, o, where, "command", &prefix);
	if (error == 0)
		error = get_texts(r, o, where, "options", &options);
	if (error == 0)
		error = get_text(r, o, where, "roostctl", &program);
	if (error < 0)
		return error;
	size_t n = 0, n_prefix = json_array_size(prefix);
	h->is_local = n_prefix == 0;
	h->arguments = mem_new(n_prefix + json_array_size(options) + 3, sizeof(*h->arguments));
	n = add_words(h->arguments, n, prefix);
	h->arguments[n++] = program ? program : h->is_local ? SELF : "roostctl";
	h->arguments[n++] = "probe";
	(void)add_words(h->arguments, n, options);
	return 0;
}

static int take_host(
	struct reader *r, const json_t *o, const char *where, bool is_node, struct conform_host *h)
{
	static const char *const of_node[] = {
		"name", "command", "roostctl", "options", "confDir", "network", "cniPath", NULL};
	static const char *const of_outside[] = {
		"name", "command", "roostctl", "options", "routed", NULL};
	go_to(r, where, "");
	h->name = "";
	if (!json_is_object(o))
		return refuse(r, "is not an object");
	int error = check_keys(r, o, where, is_node ? of_node : of_outside);
	if (error == 0)
		error = get_text(r, o, where, "name", &h->name);
	if (error == 0 && *h->name && (!text_is_name(h->name) || strlen(h->name) > 253))
		error = refuse(r, "is no name");
	if (error == 0)
		error = take_command(r, o, where, h);
	if (error == 0)
		error = get_text(r, o, where, "confDir", &h->conf_dir);
	if (error == 0)
		error = get_text(r, o, where, "network", &h->network);
	return error < 0 ? error : get_texts(r, o, where, "cniPath", &h->cni_path);
}

static bool has_name(const struct conform_file *f, const char *name)
{
	for (size_t i = 0; *name && i < f->n_nodes; i++)
		if (strcmp(f->nodes[i].name, name) == 0)
			return true;
	return false;
}

static int take_nodes(struct reader *r, struct conform_file *f)
{
	json_t *list = NULL, *item = NULL;
	size_t i = 0;
	go_to(r, "", "nodes");
	int found = json_get_array(f->doc, "", "nodes", &list, r->e);
	if (found < 0)
		return found;
	if (json_array_size(list) == 0)
		return refuse(r, "must list the hosts to test");
	if (json_array_size(list) > CONFORM_NODES)
		return refuse(r, "are too many: 200 at most");
	f->nodes = mem_new(json_array_size(list), sizeof(*f->nodes));
	json_array_foreach (list, i, item) {
		char where[32];
		struct conform_host h = {0};
		(void)snprintf(where, sizeof(where), "nodes[%zu]", i);
		int error = take_host(r, item, where, true, &h);
		bool twice = error == 0 && has_name(f, h.name);
		f->nodes[f->n_nodes++] = h;
		if (error < 0)
			return error;
		go_to(r, where, "name");
		if (twice)
			return refuse(r, "is another node's, too");
	}
	return 0;
}

static int take_families(struct reader *r, struct conform_file *f)
{
	json_t *list = NULL, *item = NULL;
	size_t i = 0;
	go_to(r, "", "families");
	int found = json_get_array(f->doc, "", "families", &list, r->e);
	if (found < 0)
		return found;
	f->families[0] = f->families[1] = found == 0;
	json_array_foreach (list, i, item) {
		json_int_t v = json_integer_value(item);
		if (v != 4 && v != 6)
			return refuse(r, "are 4, 6, or both");
		f->families[v == 6] = true;
	}
	return f->families[0] || f->families[1] ? 0 : refuse(r, "are 4, 6, or both");
}

static int take_outside(struct reader *r, struct conform_file *f)
{
	json_t *o = NULL;
	go_to(r, "", "outside");
	int found = json_get_object(f->doc, "", "outside", &o, r->e);
	f->has_outside = found > 0;
	f->routed = true;
	if (found <= 0)
		return found;
	int error = take_host(r, o, "outside", false, &f->outside);
	if (error < 0)
		return error;
	go_to(r, "outside", "routed");
	error = json_get_bool(o, "outside", "routed", &f->routed, r->e);
	return error < 0 ? error : 0;
}

static int take(struct reader *r, struct conform_file *f)
{
	static const char *const known[] = {
		"nodes", "outside", "pods", "families", "hostPort", "settleSeconds", "seed", NULL};
	int64_t pods = PODS_DEFAULT, port = HOST_PORT, seed = 0, settle = SETTLE_S;
	go_to(r, "", "");
	if (!json_is_object(f->doc))
		return refuse(r, "a cluster file is an object with the key \"nodes\"");
	int error = check_keys(r, f->doc, "", known);
	if (error == 0)
		error = take_nodes(r, f);
	if (error == 0)
		error = take_outside(r, f);
	if (error == 0)
		error = take_families(r, f);
	if (error >= 0)
		error = get_number(r, f->doc, "pods", 1, CONFORM_PODS, &pods);
	if (error >= 0)
		error = get_number(r, f->doc, "hostPort", 1, UINT16_MAX, &port);
	if (error >= 0)
		error = get_number(r, f->doc, "settleSeconds", 0, 3600, &settle);
	if (error >= 0)
		error = get_number(r, f->doc, "seed", 0, INT64_MAX, &seed);
	f->has_seed = error > 0;
	f->pods = (unsigned int)pods;
	f->host_port = (uint16_t)port;
	f->settle_s = (unsigned int)settle;
	f->seed = (uint64_t)seed;
	return error < 0 ? error : 0;
}

int conform_file_parse(const char *bytes, size_t len, struct conform_file *out, struct err *e)
{
	struct yaml_file *yaml = NULL;
	int error = yaml_parse(bytes, len, &yaml, e);
	if (error < 0)
		return error;
	struct reader r = {.e = e};
	struct conform_file f = {0};
	if (yaml_count(yaml) != 1) {
		error = err_set(e, EINVAL, "a cluster file is one document, this has %zu",
			yaml_count(yaml));
	} else {
		f.doc = json_incref(yaml_document(yaml, 0));
		error = take(&r, &f);
		if (error < 0)
			err_add(e, "line %u, column %u", yaml_line(yaml, 0, r.place),
				yaml_column(yaml, 0, r.place));
	}
	yaml_file_free(yaml);
	if (error < 0)
		conform_file_done(&f);
	else
		*out = f;
	return error;
}

/* ---- Without a file ---- */

/* The options that this command was given, so that the probe looks where we look. */
static json_t *local_options(const struct options *o)
{
	const struct {
		unsigned int option;
		const char *name, *value;
	} all[] = {
		{OPTION_CONFIG, "--config", o->config},
		{OPTION_STATE_DIR, "--state-dir", o->state_dir},
	};
	json_t *list = json_array();
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!all[i].value)
			continue;
		json_append(list, json_string(all[i].name));
		json_append(list, json_string(all[i].value));
	}
	return list;
}

static json_t *node_json(const struct inventory_node *n, const char *local, const struct options *o)
{
	const struct addr *a = n->spec.addr[IPV4].addr.family ? &n->spec.addr[IPV4].addr
							      : &n->spec.addr[IPV6].addr;
	char target[ADDR_TEXT + 8];
	json_t *node = json_object(), *command = json_array();
	json_put(node, "name", json_string(n->name));
	json_put(node, "command", command);
	if (strcmp(n->name, local) == 0) {
		json_put(node, "options", local_options(o));
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
	struct reader r = {.e = e};
	struct conform_file f = {.doc = json_object()};
	json_t *nodes = json_array();
	json_put(f.doc, "nodes", nodes);
	for (size_t i = 0; i < v->n_nodes; i++) {
		const struct inventory_node *n = &v->nodes[i];
		if (n->spec.addr[IPV4].addr.family || n->spec.addr[IPV6].addr.family)
			json_append(nodes, node_json(n, local, o));
	}
	int error = json_array_size(nodes) ? take(&r, &f)
					   : err_set(e, ENOENT, "the store knows no node");
	if (error < 0)
		conform_file_done(&f);
	else
		*out = f;
	return error;
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
