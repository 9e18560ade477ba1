/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests. All of them are read and judged before a command does anything, and all complaints are
 * made at once: who applies thirty files wants to hear of the third and the twentieth in one go.
 * A sentence begins with the file and the line, as compilers do it, so that an editor can jump
 * there.
 */
#include "cli/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "cluster/document.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

int manifest_read_bytes(const char *path, char **out, size_t *len, struct err *e)
{
	bool input = strcmp(path, "-") == 0;
	CLEANUP_FD int fd =
		input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "%s", strerror(errno));
	return file_read_fd(fd, JSON_MAX_BYTES, out, len, e);
}

void manifest_complain(const struct manifest *m, const char *where, const char *sentence)
{
	char place[RESOURCE_WHERE + sizeof(m->base)], what[RESOURCE_NAME + 32] = "";
	struct text p = TEXT_ON(place), w = TEXT_ON(what);
	text_add(&p, "%s%s%s", m->base, *m->base && *where ? "." : "", where);
	if (*m->resource.name)
		text_add(&w, "%s %s: ", resource_kind_text(m->resource.kind), m->resource.name);
	(void)output_complain(
		"%.200s:%u: %s%s", m->file, yaml_line(m->yaml, m->document, place), what, sentence);
}

/* Kind and name as far as they can be seen, so that a complaint can say what it is about. */
static void guess_subject(const json_t *doc, struct manifest *m)
{
	const char *kind = json_string_value(json_object_get(doc, "kind"));
	const char *name =
		json_string_value(json_object_get(json_object_get(doc, "metadata"), "name"));
	if (kind && name && resource_kind_parse(kind, &m->resource.kind))
		(void)text_copy(m->resource.name, 64, name);
}

static const struct manifest *find_twin(const struct manifests *all, const struct resource *r)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->list[i].resource.kind == r->kind &&
			strcmp(all->list[i].resource.name, r->name) == 0)
			return &all->list[i];
	return NULL;
}

/* One resource; returns the complaints. */
static size_t read_resource(struct manifests *all, struct manifest m, const json_t *doc)
{
	char where[RESOURCE_WHERE], sentence[sizeof(((struct err *)0)->text)];
	struct err e = {0};
	/* What hidden passwords are is seen when the store is there. */
	CLEANUP_JSON json_t *judged = document_reveal(doc, NULL, "hidden");
	if (resource_parse(judged, &m.resource, where, &e) < 0) {
		guess_subject(doc, &m);
		manifest_complain(&m, where, e.text);
		return 1;
	}
	const struct manifest *twin = find_twin(all, &m.resource);
	if (twin) {
		(void)snprintf(sentence, sizeof(sentence), "is there already, in %.200s:%u",
			twin->file, yaml_line(twin->yaml, twin->document, twin->base));
		manifest_complain(&m, "", sentence);
		resource_done(&m.resource);
		return 1;
	}
	m.stored = document_stored(doc);
	all->list = mem_grow(all->list, &all->room, all->n, sizeof(*all->list));
	all->list[all->n++] = m;
	return 0;
}

/* kubectl writes "List", calicoctl "IPPoolList". */
static bool is_list(const json_t *doc)
{
	const char *kind = json_string_value(json_object_get(doc, "kind"));
	size_t len = kind ? strlen(kind) : 0;
	return len >= 4 && strcmp(kind + len - 4, "List") == 0;
}

static size_t read_list(struct manifests *all, struct manifest m, const json_t *doc)
{
	static const char *const known[] = {"apiVersion", "kind", "metadata", "items", NULL};
	struct err e = {0};
	json_t *items = NULL, *item = NULL;
	size_t i = 0, complaints = 0;
	if (json_check_keys(doc, "", known, &e) < 0 ||
		json_get_array(doc, "", "items", &items, &e) < 0) {
		manifest_complain(&m, "items", e.text);
		return 1;
	}
	json_array_foreach (items, i, item) {
		(void)snprintf(m.base, sizeof(m.base), "items[%zu]", i);
		complaints += read_resource(all, m, item);
	}
	return complaints;
}

static size_t read_file(struct manifests *all, const char *path)
{
	CLEANUP_FREE char *bytes = NULL;
	size_t len = 0, complaints = 0;
	struct yaml_file *yaml = NULL;
	struct err e = {0};
	const char *name = strcmp(path, "-") == 0 ? "stdin" : path;
	int r = manifest_read_bytes(path, &bytes, &len, &e);
	if (r == 0)
		r = yaml_parse(bytes, len, &yaml, &e);
	if (r < 0) {
		(void)output_complain("%.200s: %s", name, e.text);
		return 1;
	}
	all->files =
		mem_grow(all->files, &all->room_files, all->n_files, sizeof(struct yaml_file *));
	all->files[all->n_files++] = yaml;
	for (size_t i = 0; i < yaml_count(yaml); i++) {
		const json_t *doc = yaml_document(yaml, i);
		struct manifest m = {.file = name, .yaml = yaml, .document = i};
		complaints += is_list(doc) ? read_list(all, m, doc) : read_resource(all, m, doc);
	}
	return complaints;
}

size_t manifests_read(const struct options *o, struct manifests *out)
{
	size_t complaints = 0;
	*out = (struct manifests){0};
	for (size_t i = 0; i < o->n_files; i++)
		complaints += read_file(out, o->files[i]);
	return complaints;
}

void manifests_done(struct manifests *m)
{
	for (size_t i = 0; i < m->n; i++) {
		resource_done(&m->list[i].resource);
		json_decref(m->list[i].stored);
	}
	free(m->list);
	for (size_t i = 0; i < m->n_files; i++)
		yaml_file_free(m->files[i]);
	free(m->files);
	*m = (struct manifests){0};
}
