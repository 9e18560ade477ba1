/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests as people keep them: files with many documents, lists among them, most of which are not about
 * policy. Whatever policy/read.h knows goes into the world; of a workload its template becomes a pod that has
 * the workload's name. A pod has no address before it runs, so one is invented: of 198.18.0.0/15 (RFC 2544) and of
 * 2001:db8::/32 (RFC 3849), which no policy means. Who tests ipBlocks over pods writes status.podIPs himself.
 *
 * Cases are documents of kind PolicyTest. Members from, to and port may be lists: all combinations are cases.
 */
#include "cli/policy/scene.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/manifest.h"
#include "cli/output.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "policy/read.h"

/* One document, or an item of a list. */
struct scene_part {
	const char *file;
	const struct yaml_file *yaml;
	size_t document;
	char base[64]; /* "", "items[3]" */
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));
	return s ? s : "";
}

static size_t scene_complain(const struct scene_part *p, const char *place, const char *sentence)
{
	char where[160];
	(void)snprintf(
		where, sizeof(where), "%s%s%s", p->base, *p->base && *place ? "." : "", place);
	(void)output_complain(
		"%.200s:%u: %s", p->file, yaml_line(p->yaml, p->document, where), sentence);
	return 1;
}

/* Cases. */

static const json_t *item_of(const json_t *list, size_t i)
{
	return json_is_array(list) ? json_array_get(list, i) : list;
}

static size_t n_items(const json_t *list)
{
	return json_is_array(list) ? json_array_size(list) : 1;
}

static void add_case(struct scene *s, const struct scene_case *c)
{
	s->cases = mem_grow(s->cases, &s->room, s->n_cases, sizeof(*s->cases));
	s->cases[s->n_cases++] = *c;
}

/* All combinations of the lists. */
static void add_combinations(struct scene *s, struct scene_case c, const json_t *doc)
{
	const json_t *from = json_object_get(doc, "from");
	const json_t *to = json_object_get(doc, "to");
	const json_t *port = json_object_get(doc, "port");
	for (size_t i = 0; i < n_items(from) * n_items(to) * n_items(port); i++) {
		c.from = json_string_value(item_of(from, i % n_items(from)));
		c.to = json_string_value(item_of(to, i / n_items(from) % n_items(to)));
		c.port = json_string_value(item_of(port, i / n_items(from) / n_items(to)));
		add_case(s, &c);
	}
}

static bool are_texts(const json_t *list)
{
	for (size_t i = 0; i < n_items(list); i++) {
		if (!json_is_string(item_of(list, i)))
			return false;
	}
	return n_items(list) > 0;
}

#define SCENE_COMBINATIONS 65536

static json_t *port_as_text(const json_t *port)
{
	char text[24];
	(void)snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(port));
	return json_string(text);
}

/* YAML reads 80 as a number; as a port it is a text. */
static void ports_as_texts(json_t *doc)
{
	json_t *port = json_object_get(doc, "port");
	if (json_is_integer(port)) {
		(void)json_object_set_new(doc, "port", port_as_text(port));
		return;
	}
	for (size_t i = 0; json_is_array(port) && i < json_array_size(port); i++) {
		if (json_is_integer(json_array_get(port, i)))
			(void)json_array_set_new(port, i, port_as_text(json_array_get(port, i)));
	}
}

static size_t read_case(struct scene *s, const struct scene_part *p, json_t *doc, size_t index)
{
	static const char *const known[] = {"name", "from", "to", "port", "expect", NULL};
	static const char *const needed[] = {"from", "to", "port"};
	char place[64];
	struct err e = {0};
	(void)snprintf(place, sizeof(place), "cases[%zu]", index);
	if (!json_is_object(doc))
		return scene_complain(
			p, place, "a case is an object with from, to, port and expect");
	if (json_check_keys(doc, "", known, &e) < 0)
		return scene_complain(p, place, e.text);
	ports_as_texts(doc);
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (are_texts(json_object_get(doc, needed[i])))
			continue;
		(void)err_set(&e, EINVAL, "%s must be a text or a list of texts", needed[i]);
		return scene_complain(p, place, e.text);
	}
	size_t n = n_items(json_object_get(doc, "from")) * n_items(json_object_get(doc, "to")) *
		   n_items(json_object_get(doc, "port"));
	if (n > SCENE_COMBINATIONS || s->n_cases + n > SCENE_COMBINATIONS)
		return scene_complain(p, place, "these are more than 65536 cases");
	const char *expect = text_of(doc, "expect");
	if (strcmp(expect, "allow") != 0 && strcmp(expect, "deny") != 0)
		return scene_complain(p, place, "expect must be allow or deny");
	char where[160];
	(void)snprintf(where, sizeof(where), "%s%s%s", p->base, *p->base ? "." : "", place);
	add_combinations(s,
		(struct scene_case){.file = p->file,
			.line = yaml_line(p->yaml, p->document, where),
			.name = text_of(doc, "name"),
			.is_allowed = strcmp(expect, "allow") == 0},
		doc);
	return 0;
}

static size_t read_cases(struct scene *s, const struct scene_part *p, const json_t *doc)
{
	static const char *const known[] = {"apiVersion", "kind", "metadata", "cases", NULL};
	struct err e = {0};
	size_t complaints = 0;
	if (json_check_keys(doc, "", known, &e) < 0)
		return scene_complain(p, "", e.text);
	const json_t *cases = json_object_get(doc, "cases");
	if (!json_is_array(cases))
		return scene_complain(p, "", "a PolicyTest has a list, cases");
	for (size_t i = 0; i < json_array_size(cases); i++)
		complaints += read_case(s, p, json_array_get(cases, i), i);
	return complaints;
}

/* Objects. */

/* The pod that a workload makes, the caller's; NULL: it is none. */
static json_t *pod_of_workload(const json_t *doc)
{
	static const char *const kinds[] = {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet",
		"Job", "ReplicationController"};
	const char *kind = text_of(doc, "kind");
	const json_t *spec = json_object_get(doc, "spec");
	if (strcmp(kind, "CronJob") == 0)
		spec = json_object_get(json_object_get(spec, "jobTemplate"), "spec");
	else if (TEXT_INDEX(kind, kinds) < 0)
		return NULL;
	json_t *pod = json_deep_copy(json_object_get(spec, "template"));
	if (!json_is_object(pod)) {
		json_decref(pod);
		return NULL;
	}
	json_t *metadata = json_object_get(pod, "metadata");
	if (!json_is_object(metadata)) {
		metadata = json_object();
		(void)json_object_set_new(pod, "metadata", metadata);
	}
	const json_t *own = json_object_get(doc, "metadata");
	(void)json_object_set_new(pod, "kind", json_string("Pod"));
	(void)json_object_set_new(pod, "apiVersion", json_string("v1"));
	(void)json_object_set(metadata, "name", json_object_get(own, "name"));
	(void)json_object_set(metadata, "namespace", json_object_get(own, "namespace"));
	return pod;
}

static enum policy_source source_of(const json_t *doc)
{
	const char *kind = text_of(doc, "kind");
	const char *version = text_of(doc, "apiVersion");
	if (strcmp(kind, "Pod") == 0)
		return POLICY_FROM_PODS;
	if (strcmp(kind, "Namespace") == 0)
		return POLICY_FROM_NAMESPACES;
	if (strcmp(kind, "ServiceAccount") == 0)
		return POLICY_FROM_ACCOUNTS;
	if (strncmp(version, "networking.k8s.io/", 18) == 0)
		return POLICY_FROM_NETWORK_POLICIES;
	if (strncmp(version, "policy.networking.k8s.io/", 25) == 0)
		return POLICY_FROM_CLUSTER_POLICIES;
	return POLICY_FROM_STORE;
}

/* What an API server fills in: the namespace of an object that names none, the label of a namespace. */
static void put_defaults(json_t *object)
{
	static const char *const namespaced[] = {"Pod", "NetworkPolicy", "ServiceAccount",
		"NetworkSet", "StagedNetworkPolicy", "StagedKubernetesNetworkPolicy"};
	json_t *metadata = json_object_get(object, "metadata");
	const char *kind = text_of(object, "kind");
	if (TEXT_INDEX(kind, namespaced) >= 0 && !*text_of(metadata, "namespace"))
		(void)json_object_set_new(metadata, "namespace", json_string("default"));
	if (strcmp(kind, "Namespace") != 0 || !json_is_object(metadata))
		return;
	json_t *labels = json_object_get(metadata, "labels");
	if (!json_is_object(labels)) {
		labels = json_object();
		(void)json_object_set_new(metadata, "labels", labels);
	}
	const char *name = text_of(metadata, "name");
	(void)json_object_set_new(
		labels, "kubernetes.io/metadata.name", json_stringn(name, strlen(name)));
	(void)json_object_set_new(
		labels, "projectcalico.org/name", json_stringn(name, strlen(name)));
}

static size_t read_object(struct scene *s, const struct scene_part *p, const json_t *doc)
{
	CLEANUP_JSON json_t *object = pod_of_workload(doc);
	struct err e = {0};
	bool changed = false;
	if (!object)
		object = json_deep_copy(doc);
	put_defaults(object);
	int r = policy_read_into(s->world, source_of(object), object, false, &changed, &e);
	if (r == -ENOENT) {
		s->n_passed_over++;
		return 0;
	}
	if (r < 0)
		return scene_complain(p, "", e.text);
	if (!changed)
		return scene_complain(p, "", "this object is there already");
	return 0;
}

static size_t read_part(struct scene *s, struct scene_part p, const json_t *doc)
{
	const char *kind = text_of(doc, "kind");
	size_t len = strlen(kind);
	const json_t *items = json_object_get(doc, "items");
	if (strcmp(kind, "PolicyTest") == 0)
		return read_cases(s, &p, doc);
	if (*p.base || len < 4 || strcmp(kind + len - 4, "List") != 0 || !json_is_array(items))
		return read_object(s, &p, doc);
	size_t complaints = 0;
	for (size_t i = 0; i < json_array_size(items); i++) {
		(void)snprintf(p.base, sizeof(p.base), "items[%zu]", i);
		complaints += read_part(s, p, json_array_get(items, i));
	}
	return complaints;
}

/* What is missing. */

static void add_namespace(struct policy_world *w, const char *name)
{
	struct policy_namespace n = {0};
	struct err e;
	if (!*name || policy_world_namespace(w, name))
		return;
	CLEANUP_JSON json_t *labels = json_pack(
		"{s:s, s:s}", "kubernetes.io/metadata.name", name, "projectcalico.org/name", name);
	(void)text_copy(n.name, sizeof(n.name), name);
	if (labels && policy_labels_read(labels, &n.labels, &e) == 0)
		(void)policy_world_put_namespace(w, &n);
}

void scene_add_namespaces(struct policy_world *w)
{
	size_t n;
	const struct policy_pod *const *pods = policy_world_pods(w, &n);
	for (size_t i = 0; i < n; i++)
		add_namespace(w, pods[i]->namespace);
	const struct policy *const *policies = policy_world_policies(w, &n);
	for (size_t i = 0; i < n; i++)
		add_namespace(w, policies[i]->namespace);
}

static struct policy_labels copy_labels(const struct policy_labels *l)
{
	struct policy_labels out = {0};
	struct err e;
	CLEANUP_JSON json_t *object = json_object();
	for (size_t i = 0; i < l->n; i++)
		(void)json_object_set_new(object, l->v[i].key, json_string(l->v[i].value));
	(void)policy_labels_read(object, &out, &e); /* they were read before */
	return out;
}

static void invent_addresses(struct scene *s, const struct policy_pod *pod)
{
	struct policy_pod p = *pod;
	struct err e;
	p.labels = copy_labels(&pod->labels);
	p.ports = mem_new(pod->n_ports, sizeof(*p.ports));
	if (pod->n_ports)
		memcpy(p.ports, pod->ports, pod->n_ports * sizeof(*p.ports));
	(void)addr_parse("198.18.0.0", &p.addrs[0], &e);
	(void)addr_parse("2001:db8::", &p.addrs[1], &e);
	s->n_pods++;
	p.addrs[0] = addr_plus(&p.addrs[0], s->n_pods);
	p.addrs[1] = addr_plus(&p.addrs[1], s->n_pods);
	p.n_addrs = 2;
	(void)policy_world_put_pod(s->world, POLICY_FROM_PODS, &p);
}

void scene_complete(struct scene *s)
{
	size_t n;
	(void)policy_world_pods(s->world, &n);
	for (size_t i = 0; i < n; i++) { /* a change of a pod leaves it where it is */
		const struct policy_pod *pod = policy_world_pods(s->world, &n)[i];
		if (!pod->n_addrs && s->n_pods < 100000)
			invent_addresses(s, pod);
	}
	scene_add_namespaces(s->world);
}

/* Files. */

void scene_init(struct scene *s)
{
	*s = (struct scene){.world = policy_world_new()};
}

size_t scene_add(struct scene *s, const char *file, const char *bytes, size_t len)
{
	struct yaml_file *yaml = NULL;
	struct err e = {0};
	if (yaml_parse(bytes, len, &yaml, &e) < 0) {
		(void)output_complain("%.200s: %s", file, e.text);
		return 1;
	}
	s->files = mem_grow(s->files, &s->files_room, s->n_files, sizeof(struct yaml_file *));
	s->files[s->n_files++] = yaml;
	size_t complaints = 0;
	for (size_t i = 0; i < yaml_count(yaml); i++) {
		struct scene_part p = {.file = file, .yaml = yaml, .document = i};
		complaints += read_part(s, p, yaml_document(yaml, i));
	}
	return complaints;
}

size_t scene_read(const struct options *o, struct scene *out)
{
	size_t complaints = 0;
	scene_init(out);
	for (size_t i = 0; i < o->n_files; i++) {
		CLEANUP_FREE char *bytes = NULL;
		size_t len = 0;
		struct err e = {0};
		const char *name = strcmp(o->files[i], "-") == 0 ? "stdin" : o->files[i];
		if (manifest_read_bytes(o->files[i], &bytes, &len, &e) == 0) {
			complaints += scene_add(out, name, bytes, len);
			continue;
		}
		(void)output_complain("%.200s: %s", name, e.text);
		complaints++;
	}
	scene_complete(out);
	return complaints;
}

void scene_done(struct scene *s)
{
	policy_world_free(s->world);
	free(s->cases);
	for (size_t i = 0; i < s->n_files; i++)
		yaml_file_free(s->files[i]);
	free(s->files);
	*s = (struct scene){0};
}
