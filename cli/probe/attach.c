/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attachments: ADD and DEL of a chain with the journal around them. The document goes into the
 * journal before ADD and leaves it after DEL, so whatever a killed probe has done is in there;
 * DEL without ADD is what CNI plugins must endure.
 *
 * A journal may be that of another node on this machine (its own network namespace, the same state
 * folder by mistake): the cookie tells, and then it is left alone. Cookies do not outlive a
 * boot, the container id says which one it was.
 */
#include "cli/probe/attach.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define CNI_PATH "/opt/cni/bin:/usr/lib/cni"
#define FOLDERS_MAX 16
#define PLUGIN_MS 30000 /* roost ends after 15 s by itself */

void probe_attach_done(struct probe_attach *a)
{
	probe_chain_done(&a->chain);
	free(a->path);
	json_decref(a->runtime);
	json_decref(a->result);
	*a = (struct probe_attach){0};
}

int probe_attach_set_path(struct probe_attach *a, const json_t *folders, struct err *e)
{
	char path[4096] = "";
	struct text t = TEXT_ON(path);
	json_t *one;
	size_t i;
	if (json_array_size(folders) > FOLDERS_MAX)
		return err_set(e, EINVAL, "cniPath has more than %d folders", FOLDERS_MAX);
	json_array_foreach (folders, i, one) {
		const char *s = json_string_value(one);
		if (!s || *s != '/' || strchr(s, ':'))
			return err_set(e, EINVAL, "cniPath[%zu] is no absolute path", i);
		text_add(&t, "%s%s", i ? ":" : "", s);
	}
	if (t.cut)
		return err_set(e, EINVAL, "cniPath is too long");
	a->path = mem_strdup(*path ? path : CNI_PATH);
	return 0;
}

static struct probe_chain_call call_of(const struct probe_attach *a, const char *args)
{
	return (struct probe_chain_call){
		.container = a->container,
		.netns = a->netns,
		.ifname = PROBE_IFNAME,
		.args = args,
		.path = a->path,
		.runtime = a->runtime,
		.timeout_ms = PLUGIN_MS,
	};
}

/* As kubelet's runtimes tell which pod it is. */
static void format_args(const char *name, char out[128])
{
	(void)snprintf(out, 128,
		"IgnoreUnknown=1;K8S_POD_NAMESPACE=roost-conformance;K8S_POD_NAME=%s", name);
}

static int attach_note(
	const struct probe_attach *a, struct probe_journal *j, const char *name, struct err *e)
{
	char cookie[24];
	(void)snprintf(cookie, sizeof(cookie), "%" PRIu64, a->cookie);
	CLEANUP_JSON json_t *doc = json_pack("{s:s,s:s,s:s,s:o}", "container", a->container,
		"netnsCookie", cookie, "path", a->path, "network", probe_chain_document(&a->chain));
	if (a->runtime)
		json_put(doc, "runtime", json_incref(a->runtime));
	if (a->result)
		json_put(doc, "result", json_incref(a->result));
	return probe_journal_put(j, name, doc, e);
}

int probe_attach_del(
	struct probe_attach *a, struct probe_journal *j, const char *name, struct err *e)
{
	char args[128];
	format_args(name, args);
	const struct probe_chain_call call = call_of(a, args);
	int r = probe_chain_del(&a->chain, &call, a->result, e);
	if (r >= 0)
		probe_journal_drop(j, name);
	return r;
}

int probe_attach_add(
	struct probe_attach *a, struct probe_journal *j, const char *name, struct err *e)
{
	char args[128];
	format_args(name, args);
	const struct probe_chain_call call = call_of(a, args);
	int r = probe_chain_check(&a->chain, &call, e);
	if (r >= 0)
		r = attach_note(a, j, name, e);
	if (r < 0)
		return r;
	r = probe_chain_add(&a->chain, &call, &a->result, e);
	if (r >= 0)
		r = attach_note(a, j, name, e);
	if (r < 0) {
		struct err ignored;
		(void)probe_attach_del(a, j, name, &ignored); /* else the journal keeps it */
	}
	return r;
}

/* ---- What dead probes left ---- */

static int read_attach(const json_t *doc, struct probe_attach *a, struct err *e)
{
	const char *container = NULL, *path = NULL, *cookie = NULL;
	json_t *network = NULL, *runtime = NULL, *result = NULL;
	if (json_unpack((json_t *)doc, "{s:s,s:s,s:s,s:o,s?o,s?o}", "container", &container, "path",
		    &path, "netnsCookie", &cookie, "network", &network, "runtime", &runtime,
		    "result", &result) < 0 ||
		probe_chain_parse(network, true, &a->chain, e) < 0 ||
		!text_copy(a->container, sizeof(a->container), container))
		return err_set(e, EBADMSG, "its journal cannot be read");
	a->path = mem_strdup(path);
	a->cookie = strtoull(cookie, NULL, 10);
	a->runtime = json_incref(runtime);
	a->result = json_incref(result);
	return 0;
}

static bool is_of_this_boot(const char *id)
{
	char boot[BOOT_ID_TEXT];
	struct err ignored;
	return boot_id(boot, &ignored) < 0 || strncmp(id + strlen("roost-probe-"), boot, 8) == 0;
}

/* One pod of a dead probe. */
static void clean_pod(struct probe_journal *j, const char *name, const json_t *doc, bool this_boot,
	json_t *out[2])
{
	struct probe_attach a = {0};
	struct err e = {0};
	int r = read_attach(doc, &a, &e);
	if (r < 0) {
		probe_journal_drop(j, name);
	} else if (!this_boot || a.cookie == ns_own_cookie()) {
		r = probe_attach_del(&a, j, name, &e);
		if (r >= 0)
			json_append(out[0], json_of_text(a.container));
	}
	if (r < 0) {
		char text[sizeof(e.text) + 128];
		struct text t = TEXT_ON(text);
		text_add(&t, "%s: %s", *a.container ? a.container : name, e.text);
		json_append(out[1], json_of_text(text));
	}
	probe_attach_done(&a);
}

int probe_attach_clean(const char *state_dir, json_t *cleaned, json_t *troubles, struct err *e)
{
	char **ids = NULL;
	size_t n = 0;
	int r = probe_journal_list(state_dir, &ids, &n, e);
	for (size_t i = 0; i < n; i++) {
		struct probe_journal *j = NULL;
		CLEANUP_JSON json_t *pods = NULL;
		json_t *doc;
		const char *name;
		struct err ignored;
		if (r >= 0 && probe_journal_take(state_dir, ids[i], &j, &pods, &ignored) > 0) {
			bool this_boot = is_of_this_boot(ids[i]);
			json_object_foreach (pods, name, doc)
				clean_pod(j, name, doc, this_boot, (json_t *[]){cleaned, troubles});
		}
		probe_journal_close(j);
		free(ids[i]);
	}
	free(ids);
	return r;
}
