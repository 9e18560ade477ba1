/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CNI protocol, plugin side. A call is read once, here, into a struct cni_request that cannot
 * be wrong; nobody behind it looks at the environment or at protocol keys again.
 *
 * The order is the reference implementation's (skel), so that a call with several faults gets the
 * same answer from both: variables, stdin, JSON, version, name, then what the verb needs.
 *
 * DEL is the exception to strictness. A pod that cannot be deleted hangs for ever, so a fault that
 * does not hide which attachment is meant only goes into *late: the clean-up is done, then the
 * fault is reported. Its code is fixed at once, since the errno is gone by then.
 *
 * Every string of a request is bounded, and whatever goes into a result (interface, namespace) is
 * valid UTF-8. Messages repeat the reference's words where runtimes or people may know them.
 */
#include "lib/cni.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define CODE_ENVIRONMENT 4
#define CODE_IO 5
#define CODE_DECODE 6
#define CODE_TRY_AGAIN 11
#define CODE_NOT_AVAILABLE 50
#define CODE_INTERNAL 999

static const char *const versions[] = {
	[CNI_0_1_0] = "0.1.0",
	[CNI_0_2_0] = "0.2.0",
	[CNI_0_3_0] = "0.3.0",
	[CNI_0_3_1] = "0.3.1",
	[CNI_0_4_0] = "0.4.0",
	[CNI_1_0_0] = "1.0.0",
	[CNI_1_1_0] = "1.1.0",
};
#define VERSIONS (sizeof(versions) / sizeof(versions[0]))

const char *cni_version_text(enum cni_version v)
{
	return versions[v];
}

int cni_version_parse(const char *s, enum cni_version *out)
{
	int i = TEXT_INDEX(s, versions);
	if (i < 0)
		return -EPROTONOSUPPORT;
	*out = (enum cni_version)i;
	return 0;
}

/* Keeps an error for after the clean-up; the first one is the one that is reported. */
static void cni_keep_error(struct err *late, int error, const struct err *e)
{
	if (*late->text)
		return;
	*late = *e;
	late->code = cni_code(error, e);
}

/*
 * The configuration on stdin.
 */

static int parse_conf(struct cni_request *r, struct err *e)
{
	int error = json_parse(r->input, r->input_len, &r->conf, e);
	if (error < 0) {
		err_add(e, "network configuration");
		return error;
	}
	if (json_is_null(r->conf)) {
		json_decref(r->conf);
		r->conf = json_object();
	}
	if (!json_is_object(r->conf))
		return err_set(e, EBADMSG, "network configuration must be a JSON object");
	return 0;
}

/* One to three numbers with dots, whether a version of CNI or not. */
static bool is_dotted_number(const char *s)
{
	int parts = 0;
	for (;;) {
		size_t n = strspn(s, "0123456789");
		if (n == 0 || ++parts > 3)
			return false;
		s += n;
		if (*s == '\0')
			return true;
		if (*s++ != '.')
			return false;
	}
}

static int refuse_version(const char *text, bool is_decoded, struct err *e)
{
	char shown[64];
	(void)text_clean(shown, sizeof(shown), text);
	(void)err_set(e, EPROTONOSUPPORT, "incompatible CNI versions");
	struct text t = TEXT_ON(e->details);
	text_add(&t, "config is \"%s\", plugin supports [", shown);
	for (size_t i = 0; i < VERSIONS; i++)
		text_add(&t, "%s\"%s\"", i ? " " : "", versions[i]);
	text_add(&t, "]");
	/* Verbs with a least version compare numbers first: the reference calls that decoding. */
	if (is_decoded && !is_dotted_number(text))
		e->code = CODE_DECODE;
	return -EPROTONOSUPPORT;
}

static int read_version(struct cni_request *r, bool is_decoded, struct err *e)
{
	const json_t *value = json_get_folded(r->conf, "cniVersion");
	if (value && !json_is_string(value))
		return err_set(e, EBADMSG, "cniVersion must be a string");
	const char *text = value ? json_string_value(value) : "";
	if (*text == '\0')
		text = versions[CNI_0_1_0];
	if (cni_version_parse(text, &r->version) < 0)
		return refuse_version(text, is_decoded, e);
	return 0;
}

static int read_network(struct cni_request *r, struct err *e)
{
	const json_t *value = json_get_folded(r->conf, "name");
	if (value && !json_is_string(value))
		return err_set(e, EBADMSG, "name of the network must be a string");
	const char *name = value ? json_string_value(value) : "";
	if (*name == '\0')
		return err_set(e, EINVAL, "missing network name");
	(void)err_set(e, EINVAL, "invalid characters found in network name");
	if (!text_is_name(name)) {
		err_details(e, "%s", name);
		return -EINVAL;
	}
	if (!text_copy(r->network, sizeof(r->network), name))
		return err_set(e, EINVAL, "network name is longer than %d bytes", CNI_NETWORK_MAX);
	return 0;
}

static int check_verb(const struct cni_request *r, struct err *e)
{
	bool needs_1_1 = r->command == CNI_GC || r->command == CNI_STATUS;
	enum cni_version least = needs_1_1 ? CNI_1_1_0 : CNI_0_4_0;
	if ((needs_1_1 || r->command == CNI_CHECK) && r->version < least) {
		(void)err_set(e, EPROTONOSUPPORT, "config version does not allow %s",
			cni_command_text(r->command));
		err_details(e, "config is \"%s\", %s came with %s", versions[r->version],
			cni_command_text(r->command), versions[least]);
		return -EPROTONOSUPPORT;
	}
	return 0;
}

static int read_prev(struct cni_request *r, struct err *e)
{
	json_t *value = json_get_folded(r->conf, "prevResult");
	if (json_is_object(value))
		r->prev = value;
	else if (value && (r->command == CNI_ADD || r->command == CNI_CHECK))
		return err_set(e, EBADMSG, "prevResult must be an object");
	if (r->command == CNI_CHECK && !r->prev) {
		(void)err_set(e, EINVAL, "Required prevResult missing");
		e->code = CODE_INTERNAL; /* as the reference */
		return -EINVAL;
	}
	return 0;
}

/* What the verb asks beyond the identity of the network. */
static int read_rest(struct cni_request *r, const char *args, struct err *e)
{
	int error = check_verb(r, e);
	if (error == 0)
		error = read_prev(r, e);
	if (error < 0)
		return error;
	struct err ignored;
	bool strict = r->command == CNI_ADD;
	error = cni_args_read(r->conf, args, &r->wishes, strict ? e : &ignored);
	return strict ? error : 0;
}

int cni_request_parse(const struct cni_env *env, char *input, size_t len, struct cni_request *out,
	struct err *late, struct err *e)
{
	*out = (struct cni_request){
		.version = CNI_1_1_0,
		.container = env->container,
		.netns = env->netns,
		.ifname = env->ifname,
		.path = env->path,
		.input = input,
		.input_len = len,
	};
	bool known = cni_command_parse(env->command, &out->command);
	bool has_least = known && (out->command == CNI_CHECK || out->command == CNI_GC ||
					  out->command == CNI_STATUS);
	int r = parse_conf(out, e);
	if (r < 0)
		return r;
	r = read_version(out, has_least, e);
	if (r < 0 && known && out->command == CNI_DEL) {
		cni_keep_error(late, r, e);
		r = 0;
	}
	if (r == 0)
		r = read_network(out, e);
	if (r < 0)
		return r;
	if (!known) {
		char shown[64];
		(void)text_clean(shown, sizeof(shown), env->command);
		(void)err_set(e, EINVAL, "unknown CNI_COMMAND: %s", shown);
		e->code = CODE_ENVIRONMENT;
		return -EINVAL;
	}
	return read_rest(out, env->args, e);
}

void cni_request_done(struct cni_request *r)
{
	cni_args_done(&r->wishes);
	json_decref(r->conf);
	free(r->input);
	*r = (struct cni_request){0};
}

/*
 * The process.
 */

/* A descriptor 1 that is not there would become the next file we open, and the answer would be
 * written into it. stdin becomes one that cannot be read and stdout one that cannot be written,
 * so that their absence is still noticed. */
static void fill_standard_descriptors(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", fd == 0 ? O_WRONLY : fd == 1 ? O_RDONLY : O_RDWR);
}

static void print_banner(const char *banner)
{
	char buf[256];
	struct text t = TEXT_ON(buf);
	text_add(&t, "%s\nCNI protocol versions supported: ", banner);
	for (size_t i = 0; i < VERSIONS; i++)
		text_add(&t, "%s%s", i ? ", " : "", versions[i]);
	text_add(&t, "\n");
	(void)file_write(STDERR_FILENO, buf, t.len); /* nowhere to complain */
}

static int print_versions(struct err *e)
{
	char buf[256];
	struct text t = TEXT_ON(buf);
	text_add(&t, "{\"cniVersion\":\"%s\",\"supportedVersions\":[", versions[CNI_1_1_0]);
	for (size_t i = 0; i < VERSIONS; i++)
		text_add(&t, "%s\"%s\"", i ? "," : "", versions[i]);
	text_add(&t, "]}\n");
	int r = file_write(STDOUT_FILENO, buf, t.len);
	return r < 0 ? err_set(e, EIO, "cannot write to stdout: %s", strerror(-r)) : 1;
}

int cni_read(const char *banner, struct cni_request *out, struct err *late, struct err *e)
{
	fill_standard_descriptors();
	/* A runtime that is gone must end in an error, which is undone, not in death by signal. */
	(void)signal(SIGPIPE, SIG_IGN);
	*late = (struct err){0};
	*out = (struct cni_request){
		.version = CNI_1_1_0, .container = "", .netns = "", .ifname = "", .path = ""};
	const struct cni_env env = cni_env_get();
	enum cni_command command;
	if (*env.command == '\0') {
		print_banner(banner);
		return 1;
	}
	if (cni_command_parse(env.command, &command) && command == CNI_VERSION)
		return print_versions(e);
	int r = cni_env_check(&env, late, e);
	if (r < 0)
		return r;
	char *input = NULL;
	size_t len = 0;
	r = file_read_fd(STDIN_FILENO, JSON_MAX_BYTES, &input, &len, e);
	if (r < 0) {
		err_add(e, "network configuration on stdin");
		e->code = r == -EFBIG ? CODE_DECODE : CODE_IO;
		return r;
	}
	return cni_request_parse(&env, input, len, out, late, e);
}

/*
 * GC.
 */

static int read_attachment(const json_t *entry, struct cni_attachment *out, struct err *e)
{
	const json_t *container = json_get_folded(entry, "containerID");
	const json_t *ifname = json_get_folded(entry, "ifname");
	if (!json_is_string(container) || !json_is_string(ifname))
		return err_set(e, EBADMSG,
			"cni.dev/valid-attachments: an entry lacks containerID or ifname, or they "
			"are not strings");
	*out = (struct cni_attachment){json_string_value(container), json_string_value(ifname)};
	return 0;
}

int cni_valid_attachments(
	const struct cni_request *r, struct cni_attachment **out, size_t *n, struct err *e)
{
	const json_t *list = json_find_folded(r->conf, "cni.dev/valid-attachments");
	if (!list)
		list = json_find_folded(
			r->conf, "cni.dev/attachments"); /* a typo of early drafts */
	if (!list)
		return 0;
	if (!json_is_array(list) && !json_is_null(list))
		return err_set(e, EBADMSG, "cni.dev/valid-attachments must be an array");
	size_t count = json_array_size(list);
	CLEANUP_FREE struct cni_attachment *all = mem_new(count, sizeof(*all));
	size_t i;
	json_t *entry;
	json_array_foreach (list, i, entry) {
		int error = read_attachment(entry, &all[i], e);
		if (error < 0)
			return error;
	}
	*out = all;
	*n = count;
	all = NULL;
	return 1;
}

/*
 * Errors.
 */

unsigned int cni_code(int error, const struct err *e)
{
	if (e->code)
		return e->code;
	switch (error < 0 ? -error : error) {
	case EPROTONOSUPPORT:
		return 1;
	case EOPNOTSUPP:
		return 2;
	case EIO:
		return CODE_IO;
	case EBADMSG:
	case EFBIG:
		return CODE_DECODE;
	case EINVAL:
		return 7;
	case EXDEV:
		return 8;
	case EAGAIN:
	case ETIMEDOUT:
	case EBUSY:
	case ENOMEM:
	case ENOBUFS:
	case ENOSPC:
	case EDQUOT:
	case EMFILE:
	case ENFILE:
		return CODE_TRY_AGAIN;
	case EUCLEAN:
	case EMEDIUMTYPE:
		return 100;
	default:
		return CODE_INTERNAL;
	}
}

int cni_not_available(int error, struct err *e)
{
	if (error != -ENOMEM && error != -ENOBUFS)
		e->code = CODE_NOT_AVAILABLE;
	return error;
}

/* go-cni takes an error with one of these words for "gone already" and forgets the pod. */
static void avoid_swallowed_words(char *text)
{
	static const char *const words[] = {"not found", "no such file or directory"};
	static const char missing[] = "missing";
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		for (char *p = strstr(text, words[i]); p; p = strstr(p, words[i])) {
			char *rest = p + strlen(words[i]);
			memcpy(p, missing, sizeof(missing) - 1);
			memmove(p + sizeof(missing) - 1, rest, strlen(rest) + 1);
		}
	}
}

/* At most limit bytes of a text of struct err. */
static json_t *error_text(const char *s, size_t limit)
{
	char clean[sizeof(((struct err *)0)->text)];
	(void)json_clean(clean, limit < sizeof(clean) ? limit + 1 : sizeof(clean), s);
	avoid_swallowed_words(clean);
	return json_string(clean);
}

void cni_error_format(
	char *buf, size_t size, enum cni_version version, int error, const struct err *e)
{
	size_t limit = sizeof(e->text);
	bool with_details = *e->details, fits = false;
	while (!fits) {
		const char *said = *e->text ? e->text : "unknown error";
		CLEANUP_JSON json_t *doc = json_pack("{sssIso}", "cniVersion", versions[version],
			"code", (json_int_t)cni_code(error, e), "msg", error_text(said, limit));
		if (with_details)
			json_put(doc, "details", error_text(e->details, limit));
		CLEANUP_FREE char *text = json_text(doc);
		fits = snprintf(buf, size, "%s\n", text) < (int)size || limit == 0;
		if (with_details)
			with_details = false;
		else
			limit /= 2;
	}
}

void cni_prepare_last_words(enum cni_version version)
{
	char before[ERR_LAST_WORDS];
	struct text t = TEXT_ON(before);
	text_add(&t, "{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":\"", versions[version],
		CODE_TRY_AGAIN);
	err_last_words(before, "\",\"details\":\"the call ended where it was. Free memory on this "
			       "machine, or raise "
			       "the memory limit of the container runtime, and try again: what was "
			       "begun is undone "
			       "by DEL or the next ADD\"}\n");
}

int cni_fail(enum cni_version version, int error, const struct err *e)
{
	char buf[4 * sizeof(struct err)];
	cni_error_format(buf, sizeof(buf), version, error, e);
	(void)file_write(STDOUT_FILENO, buf, strlen(buf)); /* nowhere to complain */
	return 1;
}
