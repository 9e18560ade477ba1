/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of an API server. A resourceVersion is a decimal number, which clients may compare since
 * Kubernetes 1.35 says so (KEP 5504), and every server before kept it so.
 *
 * Names: what can be a segment of a path (apimachinery: path.IsValidPathSegmentName) and is printable
 * ASCII. Who has another name cannot be asked for by us and is passed over.
 */
#include "store/kube/answer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "store/http.h"
#include "store/kube/mend.h"

int kube_parse(const char *bytes, size_t len, json_t **out, struct err *e)
{
	if (len > HTTP_ANSWER_MAX)
		return err_set(e, EBADMSG, "JSON of more than %d bytes", HTTP_ANSWER_MAX);
	CLEANUP_FREE char *mended = mem_new_raw(len + 1);
	memcpy(mended, bytes, len);
	kube_mend(mended, len);
	return json_parse_large(mended, len, HTTP_ANSWER_MAX, out, e);
}

static bool is_segment(const char *s)
{
	if (!*s || strcmp(s, ".") == 0 || strcmp(s, "..") == 0 || strlen(s) >= KUBE_NAME)
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s > '~' || strchr("/%?#\"\\", *s))
			return false;
	return true;
}

static int64_t read_version(const char *s)
{
	int64_t v = 0;
	if (!s || !*s || strlen(s) > 18)
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -1;
		v = v * 10 + (*s - '0');
	}
	return v;
}

static const char *metadata_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(json_object_get(object, "metadata"), key));
}

int64_t kube_version(const json_t *object)
{
	return read_version(metadata_text(object, "resourceVersion"));
}

bool kube_identify(const json_t *object, struct kube_identity *out)
{
	const char *name = metadata_text(object, "name");
	const char *namespace_ = metadata_text(object, "namespace");
	const char *uid = metadata_text(object, "uid");
	*out = (struct kube_identity){
		.name = name,
		.namespace_ = namespace_ ? namespace_ : "",
		.uid = uid && is_segment(uid) ? uid : "",
		.version = kube_version(object),
	};
	return name && is_segment(name) && out->version >= 0 &&
	       (!*out->namespace_ || is_segment(out->namespace_));
}

char *kube_message(int status, const json_t *object, char out[KUBE_MESSAGE])
{
	const char *says = json_string_value(json_object_get(object, "message"));
	const char *reason = json_string_value(json_object_get(object, "reason"));
	const json_t *of = json_object_get(json_object_get(object, "details"), "name");
	char text[KUBE_MESSAGE];
	if (status == 404 && !json_string_length(of)) /* of no object, so of the whole kind */
		(void)snprintf(text, sizeof(text),
			"the API server does not have this kind: is its CustomResourceDefinition "
			"there, in this version? (kubectl apply -f deploy/crds)");
	else if (says && *says)
		(void)snprintf(text, sizeof(text), "%s", says);
	else
		(void)snprintf(text, sizeof(text), "HTTP %d%s%.64s", status,
			reason && *reason ? " " : "", reason ? reason : "");
	(void)json_clean(out, KUBE_MESSAGE, text);
	return out;
}

void kube_add_escaped(struct text *t, const char *value)
{
	for (; *value; value++)
		if (text_is_alnum(*value) || strchr("-._~", *value))
			text_add_char(t, *value);
		else
			text_add(t, "%%%02X", (unsigned int)(unsigned char)*value);
}
