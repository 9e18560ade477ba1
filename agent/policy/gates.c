/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is read is what was written, or nothing: a file of another form says nothing of any namespace.
 */
#include "agent/policy/gates.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cluster/agent_conf.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define FILE_NAME "policy.json"

char *gates_text(const struct node_closed *closed, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_append(list,
			json_pack("{s:o, s:b, s:b, s:b}", "namespace",
				json_of_text(closed[i].namespace), "ingress", closed[i].ingress,
				"egress", closed[i].egress, "toHost", closed[i].to_host));
	CLEANUP_JSON json_t *document = json_pack("{s:o}", "closed", list);
	return json_text(document);
}

static int read_gate(const json_t *item, size_t i, struct node_closed *out, struct err *e)
{
	char where[32];
	const char *name = NULL;
	(void)snprintf(where, sizeof(where), "closed[%zu]", i);
	*out = (struct node_closed){0};
	int r = json_get_string(item, where, "namespace", &name, e);
	if (r >= 0)
		r = json_get_bool(item, where, "ingress", &out->ingress, e);
	if (r >= 0)
		r = json_get_bool(item, where, "egress", &out->egress, e);
	if (r >= 0)
		r = json_get_bool(item, where, "toHost", &out->to_host, e);
	if (r < 0)
		return r;
	if (!name || (*name && !text_is_dns_name(name)) ||
		!text_copy(out->namespace, sizeof(out->namespace), name))
		return err_set(e, EBADMSG, "%s.namespace is no namespace", where);
	return 0;
}

int gates_parse(const char *text, struct node_closed **out, size_t *n, struct err *e)
{
	CLEANUP_JSON json_t *document = NULL;
	json_t *list = NULL;
	int r = json_parse(text, strlen(text), &document, e);
	if (r >= 0)
		r = json_get_array(document, "", "closed", &list, e);
	if (r < 0)
		return r;
	size_t count = json_array_size(list);
	struct node_closed *v = mem_new(count + 1, sizeof(*v));
	for (size_t i = 0; i < count && r >= 0; i++) {
		r = read_gate(json_array_get(list, i), i, &v[i], e);
		if (r >= 0 && i && strcmp(v[i - 1].namespace, v[i].namespace) >= 0)
			r = err_set(e, EBADMSG, "closed[%zu] is not behind the one before", i);
	}
	if (r < 0) {
		free(v);
		return r;
	}
	*out = v;
	*n = count;
	return 0;
}

static void gates_path(const char *data_dir, char *out, size_t size)
{
	(void)snprintf(out, size, "%s/%s", data_dir, FILE_NAME);
}

int gates_save(const char *data_dir, const char *text, struct err *e)
{
	char path[AGENT_CONF_PATH + sizeof(FILE_NAME) + 1];
	gates_path(data_dir, path, sizeof(path));
	return file_replace(path, 0600, text, strlen(text), e);
}

int gates_load(const char *data_dir, char **text, struct err *e)
{
	char path[AGENT_CONF_PATH + sizeof(FILE_NAME) + 1];
	CLEANUP_JSON json_t *document = NULL;
	gates_path(data_dir, path, sizeof(path));
	int r = json_read_file(path, &document, e);
	if (r < 0)
		return r;
	*text = json_text(document);
	return 0;
}
