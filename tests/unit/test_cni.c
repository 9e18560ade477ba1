/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CNI protocol: calls as golden folders (tests/data/cni: environment and stdin, and what
 * comes out of them), the process itself with real descriptors, GC lists, errors. The codes are
 * those of the reference implementation, except where docs/CNI.md says otherwise.
 */
#include "tests/unit/values.h"

#include "lib/cni.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "tests/unit/golden.h"

static const char *variable(char **lines, const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; lines[i]; i++)
		if (strncmp(lines[i], name, len) == 0 && lines[i][len] == '=')
			return lines[i] + len + 1;
	return "";
}

static struct cni_env env_of(char **lines)
{
	return (struct cni_env){
		.command = variable(lines, "CNI_COMMAND"),
		.container = variable(lines, "CNI_CONTAINERID"),
		.netns = variable(lines, "CNI_NETNS"),
		.ifname = variable(lines, "CNI_IFNAME"),
		.args = variable(lines, "CNI_ARGS"),
		.path = variable(lines, "CNI_PATH"),
	};
}

static void show_json(struct text *t, const char *name, const json_t *value)
{
	if (!value)
		return;
	CLEANUP_FREE char *text = json_text(value);
	text_add(t, "%s %s\n", name, text);
}

static void show(struct text *t, const struct cni_request *r, const struct err *late)
{
	const struct cni_wishes *w = &r->wishes;
	text_add(t, "%s %s\nnetwork %s\n", cni_command_text(r->command),
		cni_version_text(r->version), r->network);
	text_add(t, "container %s\nnetns %s\nifname %s\npath %s\n", r->container, r->netns,
		r->ifname, r->path);
	for (size_t i = 0; i < w->n_ips; i++) {
		char text[ADDR_TEXT];
		addr_format(&w->ips[i], text);
		text_add(t, "ip %s\n", text);
	}
	if (w->has_mac) {
		char text[MAC_TEXT];
		mac_format(w->mac, text);
		text_add(t, "mac %s\n", text);
	}
	show_json(t, "pools4", w->pools[IPV4]);
	show_json(t, "pools6", w->pools[IPV6]);
	if (w->has_families)
		text_add(t, "families%s%s\n", w->families[IPV4] ? " IPv4" : "",
			w->families[IPV6] ? " IPv6" : "");
	for (size_t i = 0; i < w->n_ports; i++)
		text_add(t, "port %s to %u\n", PORT_STRING(&w->ports[i]), w->ports[i].pod);
	if (*w->unserved)
		text_add(t, "unserved %s\n", w->unserved);
	show_json(t, "dns", w->dns);
	if (*w->pod_name || *w->pod_namespace)
		text_add(t, "pod %s/%s\n", w->pod_namespace, w->pod_name);
	if (*w->pod_uid)
		text_add(t, "uid %s\n", w->pod_uid);
	show_json(t, "labels", w->labels);
	show_json(t, "prev", r->prev);
	if (*late->text)
		text_add(t, "late %u %s\n", late->code, late->text);
}

static void run_request(const char *dir, char *out, size_t size)
{
	CLEANUP_FREE char *text = golden_read(dir, "env", NULL);
	size_t len = 0;
	char *input = golden_read(dir, "stdin", &len);
	assert_non_null(text);
	assert_non_null(input);
	char *lines[16] = {0};
	char *rest = NULL;
	size_t n = 0;
	for (char *p = strtok_r(text, "\n", &rest); p && n < 15; p = strtok_r(NULL, "\n", &rest))
		lines[n++] = p;
	const struct cni_env env = env_of(lines);
	struct err late = {0};
	struct err e;
	struct cni_request r = {.version = CNI_1_1_0};
	int error = cni_env_check(&env, &late, &e);
	if (error == 0)
		error = cni_request_parse(&env, input, len, &r, &late, &e);
	else
		free(input);
	struct text t = {.buf = out, .size = size};
	if (error < 0)
		cni_error_format(out, size, r.version, error, &e);
	else
		show(&t, &r, &late);
	cni_request_done(&r);
}

TEST(requests_are_read_as_recorded)
{
	golden_run("cni", run_request);
}

#define SAYS_NOTHING (-ENODATA)

/* Reads a request of GC with this list value and says how many attachments it has, or the error. */
static int count_attachments(const char *conf, struct cni_attachment **out, struct err *e)
{
	struct cni_request r = {.conf = json_of(conf)};
	size_t n = 0;
	int error = cni_valid_attachments(&r, out, &n, e);
	json_decref(r.conf);
	return error < 0 ? error : error == 0 ? SAYS_NOTHING : (int)n;
}

TEST(valid_attachments_null_is_none_and_absent_says_nothing)
{
	static const struct {
		const char *conf;
		int result;
	} table[] = {
		{"{}", SAYS_NOTHING},
		{"{\"cni.dev/valid-attachments\":null}", 0},
		{"{\"cni.dev/valid-attachments\":[]}", 0},
		{"{\"cni.dev/valid-attachments\":[{\"containerID\":\"a\",\"ifname\":\"b\"}]}", 1},
		{"{\"cni.dev/attachments\":[{\"containerID\":\"a\",\"ifname\":\"b\"}]}", 1},
		{"{\"cni.dev/attachments\":null}", 0},
		{"{\"cni.dev/attachments\":[],\"cni.dev/valid-attachments\":"
		 "[{\"ContainerID\":\"a\",\"IfName\":\"b\"},{\"containerID\":\"\",\"ifname\":\"\"}]"
		 "}",
			2},
		{"{\"cni.dev/valid-attachments\":{}}", -EBADMSG},
		{"{\"cni.dev/valid-attachments\":[null]}", -EBADMSG},
		{"{\"cni.dev/valid-attachments\":[{\"containerID\":\"a\"}]}", -EBADMSG},
		{"{\"cni.dev/valid-attachments\":[{\"containerID\":\"a\",\"ifname\":1}]}",
			-EBADMSG},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		CLEANUP_FREE struct cni_attachment *list = NULL;
		struct err e;
		assert_int_equal(count_attachments(table[i].conf, &list, &e), table[i].result);
		if (table[i].result == -EBADMSG)
			assert_int_equal(cni_code(table[i].result, &e), 6);
	}
}

TEST(valid_attachments_are_borrowed_pairs)
{
	static const char conf[] = "{\"cni.dev/valid-attachments\":["
				   "{\"containerID\":\"c1\",\"ifname\":\"eth0\"},"
				   "{\"containerID\":\"c2\",\"ifname\":\"net1\"}]}";
	struct cni_request r = {.conf = json_of(conf)};
	struct err e;
	CLEANUP_FREE struct cni_attachment *list = NULL;
	size_t n = 0;
	assert_int_equal(cni_valid_attachments(&r, &list, &n, &e), 1);
	assert_int_equal(n, 2);
	assert_string_equal(list[1].container, "c2");
	assert_string_equal(list[1].ifname, "net1");
	cni_request_done(&r);
}

TEST(every_errno_has_its_code)
{
	static const struct {
		int error;
		unsigned int code;
	} table[] = {{-EPROTONOSUPPORT, 1}, {-EOPNOTSUPP, 2}, {-EIO, 5}, {-EBADMSG, 6}, {-EFBIG, 6},
		{-EINVAL, 7}, {-EXDEV, 8}, {-EAGAIN, 11}, {-ETIMEDOUT, 11}, {-EBUSY, 11},
		{-EUCLEAN, 100}, {-ENOENT, 999}, {-EEXIST, 999}, {-EADDRINUSE, 999},
		{-EADDRNOTAVAIL, 999}, {-ENOTTY, 999}, {-EPERM, 999}, {EINVAL, 7}};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct err e = {0};
		assert_int_equal(cni_code(table[i].error, &e), table[i].code);
		e.code = 42;
		assert_int_equal(cni_code(table[i].error, &e), 42);
	}
}

TEST(error_documents_are_valid_json_whatever_the_text)
{
	static const struct {
		const char *text;
		const char *details;
		const char *document;
	} table[] = {
		{"plain", "", "{\"cniVersion\":\"0.4.0\",\"code\":7,\"msg\":\"plain\"}\n"},
		{"a", "b",
			"{\"cniVersion\":\"0.4.0\",\"code\":7,\"msg\":\"a\",\"details\":\"b\"}\n"},
		{"q\"b\\", "", "{\"cniVersion\":\"0.4.0\",\"code\":7,\"msg\":\"q\\\"b\\\\\"}\n"},
		{"\x1b[1m\n\x7f", "", "{\"cniVersion\":\"0.4.0\",\"code\":7,\"msg\":\"?[1m??\"}\n"},
		{"\xff.\xc3.\xed\xa0\x80.\xc0\x80\xf5", "",
			"{\"cniVersion\":\"0.4.0\",\"code\":7,\"msg\":\"?.?.???.???\"}\n"},
		{"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x94", "",
			"{\"cniVersion\":\"0.4.0\",\"code\":7,"
			"\"msg\":\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x94\"}\n"},
		{"link not found, not found", "open x: no such file or directory",
			"{\"cniVersion\":\"0.4.0\",\"code\":7,"
			"\"msg\":\"link missing, missing\",\"details\":\"open x: missing\"}\n"},
		{"", "", "{\"cniVersion\":\"0.4.0\",\"code\":7,\"msg\":\"unknown error\"}\n"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct err e = {0};
		char buf[1024];
		(void)err_set(&e, EINVAL, "%s", table[i].text);
		err_details(&e, "%s", table[i].details);
		cni_error_format(buf, sizeof(buf), CNI_0_4_0, -EINVAL, &e);
		assert_string_equal(buf, table[i].document);
	}
}

TEST(error_documents_are_cut_but_stay_whole_json)
{
	struct err e = {0};
	memset(e.text, '"', sizeof(e.text) - 1);
	memset(e.details, '\\', sizeof(e.details) - 1);
	for (size_t size = 64; size < 4096; size += 7) {
		char buf[4096];
		cni_error_format(buf, size, CNI_1_1_0, -EINVAL, &e);
		assert_true(strlen(buf) < size);
		CLEANUP_JSON json_t *doc = json_of(buf);
		assert_int_equal(json_integer_value(json_object_get(doc, "code")), 7);
	}
}

TEST(versions_are_known_by_their_exact_text)
{
	for (enum cni_version v = CNI_0_1_0; v <= CNI_1_1_0; v++) {
		enum cni_version found;
		assert_int_equal(cni_version_parse(cni_version_text(v), &found), 0);
		assert_int_equal(found, v);
	}
	static const char *const bad[] = {"", "1", "1.0", "1.0.0 ", "01.0.0", "1.2.0", "v1.0.0"};
	for (size_t i = 0; i < COUNT(bad); i++) {
		enum cni_version found;
		assert_int_equal(cni_version_parse(bad[i], &found), -EPROTONOSUPPORT);
	}
}

TEST(the_last_of_several_equal_arguments_counts)
{
	char out[8];
	bool cut = true;
	assert_true(cni_args_get("A=1;B=2;A=3", "A", out, sizeof(out), &cut));
	assert_string_equal(out, "3");
	assert_false(cut);
	assert_true(cni_args_get(";;A==;", "A", out, sizeof(out), NULL));
	assert_string_equal(out, "=");
	assert_true(cni_args_get("A=0123456789", "A", out, sizeof(out), &cut));
	assert_string_equal(out, "0123456");
	assert_true(cut);
	assert_false(cni_args_get("AB=1;A;=A", "A", out, sizeof(out), NULL));
}

/*
 * The process: a child with these variables and this stdin calls cni_read().
 */

struct outcome {
	int status;
	char out[8192];
	char err[8192];
};

static void slurp(int fd, char out[8192])
{
	size_t len = 0;
	ssize_t n;
	while ((n = read(fd, out + len, 8191 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	(void)close(fd);
}

_Noreturn static void be_plugin(const char *command, int in, int out, int err)
{
	(void)clearenv();
	if (command)
		(void)setenv("CNI_COMMAND", command, 1);
	(void)setenv("CNI_CONTAINERID", "c1", 1);
	(void)setenv("CNI_NETNS", "/run/netns/x", 1);
	(void)setenv("CNI_IFNAME", "eth0", 1);
	(void)setenv("CNI_PATH", "/opt/cni/bin", 1);
	if (in >= 0)
		(void)dup2(in, 0);
	else
		(void)close(0);
	(void)dup2(out, 1);
	(void)dup2(err, 2);
	struct cni_request r;
	struct err late;
	struct err e;
	int error = cni_read("CNI test plugin v9.9.9", &r, &late, &e);
	int status = error < 0 ? cni_fail(r.version, error, &e) : error == 1 ? 0 : 77;
	cni_request_done(&r);
	_exit(status);
}

static int memory_file(const char *bytes, size_t len)
{
	FILE *f = tmpfile();
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fflush(f), 0);
	int fd = fcntl(fileno(f), F_DUPFD_CLOEXEC, 10);
	(void)fclose(f);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void run_plugin(const char *command, int in, struct outcome *o)
{
	int out[2];
	int err[2];
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		be_plugin(command, in, out[1], err[1]);
	(void)close(out[1]);
	(void)close(err[1]);
	slurp(out[0], o->out);
	slurp(err[0], o->err);
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	o->status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
	if (in >= 0)
		(void)close(in);
}

TEST(no_command_prints_a_banner_and_succeeds)
{
	struct outcome o;
	run_plugin(NULL, -1, &o);
	assert_int_equal(o.status, 0);
	assert_string_equal(o.out, "");
	assert_string_equal(o.err, "CNI test plugin v9.9.9\nCNI protocol versions supported: "
				   "0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n");
	run_plugin("", -1, &o);
	assert_int_equal(o.status, 0);
}

TEST(version_is_answered_without_reading_stdin)
{
	struct outcome o;
	int in[2];
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	run_plugin("VERSION", in[0], &o); /* the writing end is open: reading would never end */
	(void)close(in[1]);
	assert_int_equal(o.status, 0);
	assert_string_equal(o.out,
		"{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.1.0\",\"0.2.0\",\"0.3.0\","
		"\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n");
}

TEST(unreadable_stdin_is_code_5)
{
	struct outcome o;
	run_plugin("ADD", -1, &o);
	assert_int_equal(o.status, 1);
	assert_says(o.out, "\"code\":5,");
}

TEST(stdin_up_to_the_limit_is_read_and_beyond_is_code_6)
{
	size_t size = JSON_MAX_BYTES + 1;
	CLEANUP_FREE char *big = mem_new(size, 1);
	memset(big, ' ', size);
	static const char conf[14] = "{\"name\":\"net\"}"; /* no terminator */
	memcpy(big, conf, sizeof(conf));
	struct outcome o;
	run_plugin("ADD", memory_file(big, JSON_MAX_BYTES), &o);
	assert_int_equal(o.status, 77);
	run_plugin("ADD", memory_file(big, size), &o);
	assert_int_equal(o.status, 1);
	assert_says(o.out, "\"code\":6,");
	assert_says(o.out, "longer than 1048576 bytes");
}

TEST(refusals_are_one_document_on_stdout_and_nothing_on_stderr)
{
	struct outcome o;
	run_plugin("ADD", memory_file("{}", 2), &o);
	assert_int_equal(o.status, 1);
	assert_string_equal(
		o.out, "{\"cniVersion\":\"0.1.0\",\"code\":7,\"msg\":\"missing network name\"}\n");
	assert_string_equal(o.err, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_read_as_recorded),
		cmocka_unit_test(valid_attachments_null_is_none_and_absent_says_nothing),
		cmocka_unit_test(valid_attachments_are_borrowed_pairs),
		cmocka_unit_test(every_errno_has_its_code),
		cmocka_unit_test(error_documents_are_valid_json_whatever_the_text),
		cmocka_unit_test(error_documents_are_cut_but_stay_whole_json),
		cmocka_unit_test(versions_are_known_by_their_exact_text),
		cmocka_unit_test(the_last_of_several_equal_arguments_counts),
		cmocka_unit_test(no_command_prints_a_banner_and_succeeds),
		cmocka_unit_test(version_is_answered_without_reading_stdin),
		cmocka_unit_test(unreadable_stdin_is_code_5),
		cmocka_unit_test(stdin_up_to_the_limit_is_read_and_beyond_is_code_6),
		cmocka_unit_test(refusals_are_one_document_on_stdout_and_nothing_on_stderr),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
