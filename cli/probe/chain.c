/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's side of CNI, as little of it as a probe needs: ADD and DEL of one attachment.
 *
 * A folder is read as containerd and CRI-O read it: *.conflist, *.conf and *.json in the order of
 * their names; a .conf is a list of one; a file that cannot be used is passed over. The version is
 * "cniVersion", as in runtimes that do not know "cniVersions": it is the one that all plugins of
 * the list understand. Only where it is absent the newest we know of "cniVersions" counts.
 *
 * The result of ADD is kept as the last plugin printed it, since unknown keys are none of our
 * business; it is handed to DEL from version 0.4.0 on.
 */
#include "cli/probe/chain.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "lib/exec.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define PLUGINS_MAX 32

void probe_chain_done(struct probe_chain *c)
{
	json_decref(c->plugins);
	*c = (struct probe_chain){0};
}

/* ---- Reading ---- */

static int take_version(const json_t *doc, enum cni_version *out, struct err *e)
{
	const char *text = NULL;
	json_t *all = NULL, *one;
	size_t i;
	int r = json_get_string(doc, "", "cniVersion", &text, e);
	if (r < 0)
		return r;
	*out = CNI_0_1_0;
	if (r > 0 && *text) {
		if (cni_version_parse(text, out) < 0)
			return err_set(e, EINVAL, "cniVersion \"%.20s\" is not known", text);
		return 0;
	}
	r = json_get_array(doc, "", "cniVersions", &all, e);
	if (r < 0)
		return r;
	json_array_foreach (all, i, one) {
		enum cni_version v;
		if (json_is_string(one) && cni_version_parse(json_string_value(one), &v) == 0 &&
			v > *out)
			*out = v;
	}
	return 0;
}

static int check_plugin(const json_t *plugin, size_t i, struct err *e)
{
	char where[32];
	const char *type = NULL;
	(void)snprintf(where, sizeof(where), "plugins[%zu]", i);
	if (!json_is_object(plugin))
		return err_set(e, EBADMSG, "%s is not an object", where);
	json_t *capabilities = NULL;
	int r = json_get_object(plugin, where, "capabilities", &capabilities, e);
	if (r >= 0)
		r = json_get_string(plugin, where, "type", &type, e);
	if (r == 0 || (r > 0 && !*type))
		return err_set(e, EBADMSG, "%s has no type", where);
	return r < 0 ? r : 0;
}

static int take_plugins(const json_t *doc, bool is_list, json_t **out, struct err *e)
{
	json_t *list = NULL, *one;
	size_t i;
	if (!is_list) {
		*out = json_pack("[O]", doc);
		return check_plugin(doc, 0, e);
	}
	int r = json_get_array(doc, "", "plugins", &list, e);
	if (r < 0)
		return r;
	if (json_array_size(list) == 0)
		return err_set(e, EBADMSG, "the list has no plugins");
	if (json_array_size(list) > PLUGINS_MAX)
		return err_set(e, EBADMSG, "the list has more than %d plugins", PLUGINS_MAX);
	json_array_foreach (list, i, one) {
		r = check_plugin(one, i, e);
		if (r < 0)
			return r;
	}
	*out = json_incref(list);
	return 0;
}

int probe_chain_parse(const json_t *doc, bool is_list, struct probe_chain *out, struct err *e)
{
	struct probe_chain c = {0};
	const char *name = NULL;
	if (!json_is_object(doc))
		return err_set(e, EBADMSG, "a network configuration is a JSON object");
	int r = json_get_string(doc, "", "name", &name, e);
	if (r < 0)
		return r;
	if (r == 0 || !text_is_name(name) || !text_copy(c.name, sizeof(c.name), name))
		return err_set(e, EINVAL, "the network configuration has no usable name");
	r = take_version(doc, &c.version, e);
	if (r >= 0)
		r = take_plugins(doc, is_list, &c.plugins, e);
	if (r < 0)
		probe_chain_done(&c);
	else
		*out = c;
	return r < 0 ? r : 0;
}

json_t *probe_chain_document(const struct probe_chain *c)
{
	return json_pack("{s:s,s:s,s:O}", "name", c->name, "cniVersion",
		cni_version_text(c->version), "plugins", c->plugins);
}

static int read_file(const char *path, struct probe_chain *out, struct err *e)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP_FREE char *text = NULL;
	CLEANUP_JSON json_t *doc = NULL;
	size_t len = 0;
	if (fd < 0)
		return err_set(e, errno, "cannot open it: %s", strerror(errno));
	int r = file_read_fd(fd, JSON_MAX_BYTES, &text, &len, e);
	if (r >= 0)
		r = json_parse(text, len, &doc, e);
	const char *dot = strrchr(path, '.');
	if (r >= 0)
		r = probe_chain_parse(doc, dot && strcmp(dot, ".conflist") == 0, out, e);
	return r;
}

static int is_wanted(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');
	return dot && (strcmp(dot, ".conflist") == 0 || strcmp(dot, ".conf") == 0 ||
			      strcmp(dot, ".json") == 0);
}

/* Byte order, as Go's sort; alphasort() asks the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The first file that is usable and has the name; what was wrong with others is told when there
 * is none. */
static int chain_choose(const char *folder, struct dirent **files, int n, const char *name,
	struct probe_chain *out, struct err *e)
{
	struct text wrong = TEXT_ON(e->details);
	e->details[0] = '\0';
	for (int i = 0; i < n; i++) {
		CLEANUP_CHAIN struct probe_chain c = {0};
		char path[4096];
		struct text t = TEXT_ON(path);
		struct err why = {0};
		text_add(&t, "%s/%s", folder, files[i]->d_name);
		if (read_file(path, &c, &why) < 0) {
			text_add(&wrong, "%s%s: %s", wrong.len ? "; " : "", files[i]->d_name,
				why.text);
			continue;
		}
		if (name && strcmp(c.name, name) != 0)
			continue;
		*out = c;
		c = (struct probe_chain){0};
		return 0;
	}
	char details[sizeof(e->details)];
	(void)text_copy(details, sizeof(details), e->details);
	int r = name ? err_set(e, ENOENT, "no network \"%.60s\" in %.300s", name, folder)
		     : err_set(e, ENOENT, "no usable network configuration in %.300s", folder);
	err_details(e, "%s", details);
	return r;
}

int probe_chain_load(const char *folder, const char *name, struct probe_chain *out, struct err *e)
{
	struct dirent **files = NULL;
	int n = scandir(folder, &files, is_wanted, by_name);
	if (n < 0)
		return err_set(e, errno, "cannot read %.300s: %s", folder, strerror(errno));
	int r = chain_choose(folder, files, n, name, out, e);
	for (int i = 0; i < n; i++)
		free(files[i]);
	free(files);
	return r;
}

/* ---- Questions ---- */

static const char *type_of(const struct probe_chain *c, size_t i)
{
	return json_string_value(json_object_get(json_array_get(c->plugins, i), "type"));
}

static const json_t *capabilities_of(const struct probe_chain *c, size_t i)
{
	return json_object_get(json_array_get(c->plugins, i), "capabilities");
}

bool probe_chain_has(const struct probe_chain *c, const char *capability)
{
	for (size_t i = 0; i < json_array_size(c->plugins); i++)
		if (json_is_true(json_object_get(capabilities_of(c, i), capability)))
			return true;
	return false;
}

json_t *probe_chain_capabilities(const struct probe_chain *c)
{
	CLEANUP_JSON json_t *seen = json_object();
	json_t *list = json_array(), *value;
	const char *key;
	for (size_t i = 0; i < json_array_size(c->plugins); i++) {
		json_object_foreach ((json_t *)capabilities_of(c, i), key, value)
			if (json_is_true(value))
				(void)json_object_set(seen, key, value);
	}
	json_object_foreach (seen, key, value)
		json_append(list, json_string(key));
	return list;
}

json_t *probe_chain_types(const struct probe_chain *c)
{
	json_t *list = json_array();
	for (size_t i = 0; i < json_array_size(c->plugins); i++)
		json_append(list, json_string(type_of(c, i)));
	return list;
}

json_t *probe_chain_input(
	const struct probe_chain *c, size_t i, const json_t *runtime, const json_t *prev)
{
	json_t *input = json_copy(json_array_get(c->plugins, i)), *config = json_object(), *value;
	const char *key;
	json_put(input, "name", json_string(c->name));
	json_put(input, "cniVersion", json_string(cni_version_text(c->version)));
	json_object_foreach ((json_t *)runtime, key, value)
		if (json_is_true(json_object_get(capabilities_of(c, i), key)))
			(void)json_object_set(config, key, value);
	if (json_object_size(config))
		(void)json_object_set(input, "runtimeConfig", config);
	json_decref(config);
	if (prev)
		(void)json_object_set(input, "prevResult", (json_t *)prev);
	return input;
}

/* ---- Running ---- */

#define VARIABLES 5

static void make_variables(const struct probe_chain_call *call, char *out[VARIABLES])
{
	const struct {
		const char *name, *value;
	} given[VARIABLES] = {
		{"CNI_CONTAINERID", call->container},
		{"CNI_NETNS", call->netns},
		{"CNI_IFNAME", call->ifname},
		{"CNI_ARGS", call->args},
		{"CNI_PATH", call->path},
	};
	for (size_t i = 0; i < VARIABLES; i++) {
		size_t size = strlen(given[i].name) + strlen(given[i].value) + 2;
		out[i] = mem_new(size, 1);
		(void)snprintf(out[i], size, "%s=%s", given[i].name, given[i].value);
	}
}

/* One plugin of a call. */
struct step {
	const struct probe_chain_call *call;
	const char *type, *command;
	json_t *input; /* owned */
};

static int chain_run(const struct step *s, json_t **out, struct err *e)
{
	char *variables[VARIABLES];
	CLEANUP_FREE char *text = json_text(s->input);
	make_variables(s->call, variables);
	const struct exec_call one = {
		.path = s->call->path,
		.type = s->type,
		.command = s->command,
		.variables = (const char *const *)variables,
		.n_variables = VARIABLES,
		.input = text,
		.input_len = strlen(text),
		.timeout_ms = s->call->timeout_ms,
	};
	int r = exec_call(&one, out, e);
	for (size_t i = 0; i < VARIABLES; i++)
		free(variables[i]);
	json_decref(s->input);
	if (r < 0)
		err_add(e, "%s of %.60s", s->command, s->type);
	return r;
}

int probe_chain_check(
	const struct probe_chain *c, const struct probe_chain_call *call, struct err *e)
{
	for (size_t i = 0; i < json_array_size(c->plugins); i++) {
		int r = exec_find(call->path, type_of(c, i), e);
		if (r < 0)
			return r;
	}
	return 0;
}

int probe_chain_add(const struct probe_chain *c, const struct probe_chain_call *call,
	json_t **result, struct err *e)
{
	CLEANUP_JSON json_t *last = NULL;
	for (size_t i = 0; i < json_array_size(c->plugins); i++) {
		json_t *answer = NULL;
		const struct step s = {
			call, type_of(c, i), "ADD", probe_chain_input(c, i, call->runtime, last)};
		int r = chain_run(&s, &answer, e);
		if (r < 0)
			return r;
		if (!json_is_object(answer)) {
			json_decref(answer);
			return err_set(e, EBADMSG, "plugin %s answered ADD without a result",
				type_of(c, i));
		}
		json_decref(last);
		last = answer;
	}
	*result = json_incref(last);
	return 0;
}

int probe_chain_del(const struct probe_chain *c, const struct probe_chain_call *call,
	const json_t *result, struct err *e)
{
	const json_t *prev = c->version >= CNI_0_4_0 ? result : NULL;
	int error = 0;
	for (size_t i = json_array_size(c->plugins); i-- > 0;) {
		struct err why = {0};
		json_t *ignored = NULL;
		const struct step s = {
			call, type_of(c, i), "DEL", probe_chain_input(c, i, call->runtime, prev)};
		int r = chain_run(&s, &ignored, &why);
		json_decref(ignored);
		if (r < 0 && error == 0) {
			error = r;
			*e = why;
		}
	}
	return error;
}
