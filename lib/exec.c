/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running another CNI plugin. Its stdin is a memory file with exactly our stdin's bytes: unlike a
 * pipe it needs no feeding, so nobody can block anybody however much there is to read. Its
 * stdout is a pipe, collected up to a limit; its stderr is ours.
 *
 * The child dies with us (PR_SET_PDEATHSIG), since a runtime kills only the process it started, and
 * at a deadline of our own. We wait for the child itself (a pidfd), not for the end of its stdout:
 * a grandchild that keeps the pipe open holds nobody up.
 *
 * The environment is ours with another CNI_COMMAND, as the specification says, and, where we are
 * the runtime, with the variables of the call. What the child prints is trusted as little as any
 * other input.
 *
 * A child that is talked with (exec_child) is another matter: it does work that it has to undo, so
 * it is told of our end by that of its stdin, and given the time it needs.
 */
#include "lib/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/boot.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define BUSY_TRIES 5 /* ETXTBSY: somebody is still writing the executable */
#define BUSY_PAUSE_NS 200000000L
#define PATH_SIZE 4096
#define PART 4096 /* bytes of an answer that are read at once */
#define SEARCH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" /* without PATH */

#define CHILD_NONE                                                                                 \
	{                                                                                          \
		.pidfd = -1, .in = -1, .out = -1, .errors = -1                                     \
	}

/* A child whose stdout is collected. */
struct plugin {
	struct exec_child child;
	int64_t end_ms;	  /* boot_now_ms() */
	struct text text; /* its stdout so far */
};

/* The first regular file of that name in a ':'-separated list of folders, as libcni looks. */
static int find_plugin(const char *path, const char *type, char out[PATH_SIZE], struct err *e)
{
	if (*type == '\0')
		return err_set(e, ENOENT, "no plugin name provided");
	if (strchr(type, '/'))
		return err_set(e, ENOENT, "invalid plugin name: %s", type);
	for (const char *p = path; *p; p += strspn(p, ":")) {
		size_t len = strcspn(p, ":");
		struct text t = {.buf = out, .size = PATH_SIZE};
		text_add(&t, "%.*s/%s", (int)len, p, type);
		p += len;
		struct stat st;
		if (len > 0 && !t.cut && stat(out, &st) == 0 && S_ISREG(st.st_mode))
			return 0;
	}
	return err_set(e, ENOENT, "failed to find plugin \"%s\" in path [%s]", type, path);
}

static bool is_same_name(const char *a, const char *b)
{
	size_t len = strcspn(a, "=");
	return strncmp(a, b, len + 1) == 0;
}

/* Our environment with CNI_COMMAND and the call's variables instead of ours; the array is the
 * caller's, the strings are borrowed. */
static char **make_environment(const struct exec_call *c, char *command)
{
	size_t n = 0;
	while (environ[n])
		n++;
	char **list = mem_new(n + c->n_variables + 2, sizeof(*list));
	size_t kept = 0;
	list[kept++] = command;
	for (size_t i = 0; i < c->n_variables; i++)
		list[kept++] = (char *)c->variables[i];
	size_t set = kept;
	for (size_t i = 0; i < n; i++) {
		bool other = true;
		for (size_t k = 0; k < set && other; k++)
			other = !is_same_name(list[k], environ[i]);
		if (other)
			list[kept++] = environ[i];
	}
	return list;
}

static int take_fd(int *fd)
{
	int value = *fd;
	*fd = -1;
	return value;
}

/* A descriptor that reads these bytes from their start. */
static int open_input(const char *bytes, size_t len, struct err *e)
{
	CLEANUP_FD int fd = memfd_create("stdin", MFD_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "cannot make a memory file: %s", strerror(errno));
	int r = file_write(fd, bytes, len);
	if (r < 0)
		return err_set(e, -r, "cannot fill a memory file: %s", strerror(-r));
	(void)lseek(fd, 0, SEEK_SET);
	return take_fd(&fd);
}

/* How a child begins. */
struct launch {
	const char *file;
	char *const *arguments, *const *environment;
	int fds[3];    /* its stdin, stdout, stderr; -1: as ours */
	bool outlives; /* not killed with us, and an interrupt from the terminal is not its business */
};

/* The child's side of fork(). Descriptors are close-on-exec except the copies made here (0 to
 * 2 are taken, so ours are others); report gets the errno of a failed
 * start. */
_Noreturn static void child_become(const struct launch *l, pid_t parent, int report)
{
	sigset_t none;
	(void)sigemptyset(&none);
	(void)signal(SIGPIPE, SIG_DFL); /* we ignore it (cni_read()), others may not expect that */
	bool ready = true;
	if (l->outlives)
		(void)signal(SIGINT, SIG_IGN);
	else
		ready = prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
	for (int i = 0; i < 3 && ready; i++)
		ready = l->fds[i] < 0 || dup2(l->fds[i], i) >= 0;
	if (ready && sigprocmask(SIG_SETMASK, &none, NULL) == 0)
		(void)execve(l->file, l->arguments, l->environment);
	int error = errno;
	(void)!write(report, &error, sizeof(error));
	_exit(127);
}

/* One fork and exec. Returns the pid or a negative errno, that of execve() included. */
static pid_t launch_once(const struct launch *l)
{
	int report[2];
	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	CLEANUP_FD int reader = report[0];
	CLEANUP_FD int writer = report[1];
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		child_become(l, parent, writer);
	(void)close(take_fd(&writer)); /* else the read below would not see the child's end */
	int error = 0;
	ssize_t n;
	do
		n = read(reader, &error, sizeof(error));
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(error))
		return pid; /* the pipe closed with a successful exec */
	(void)waitpid(pid, NULL, 0);
	return -error;
}

/* The same, patient with an executable that is just being written. */
static pid_t launch_patiently(const struct launch *l)
{
	(void)signal(SIGCHLD, SIG_DFL); /* inherited as ignored, it would hide the exit status */
	for (int i = 0;; i++) {
		pid_t pid = launch_once(l);
		if (pid != -ETXTBSY || i == BUSY_TRIES)
			return pid;
		(void)nanosleep(&(struct timespec){.tv_nsec = BUSY_PAUSE_NS}, NULL);
	}
}

static int open_pipe(int *reader, int *writer, struct err *e)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set(e, errno, "cannot make a pipe: %s", strerror(errno));
	*reader = fds[0];
	*writer = fds[1];
	return 0;
}

/* is_plugin: for the error. */
static int child_start(const struct launch *l, bool is_plugin, struct exec_child *c, struct err *e)
{
	pid_t pid = launch_patiently(l);
	if (pid < 0)
		return err_set(e, -pid, "cannot run %s: %s", l->file, strerror(-pid));
	c->pid = pid;
	c->pidfd = pidfd_open(pid, 0);
	if (c->pidfd < 0)
		return err_set(e, errno, "cannot watch %s%s: %s", is_plugin ? "plugin " : "",
			l->file, strerror(errno));
	return 0;
}

static int plugin_start(
	const char *file, char **environment, int in, struct plugin *p, struct err *e)
{
	CLEANUP_FD int writer = -1;
	int r = open_pipe(&p->child.out, &writer, e);
	if (r < 0)
		return r;
	(void)fcntl(p->child.out, F_SETFL, O_NONBLOCK);
	char *arguments[] = {(char *)file, NULL};
	const struct launch l = {
		.file = file,
		.arguments = arguments,
		.environment = environment,
		.fds = {in, writer, -1},
	};
	return child_start(&l, true, &p->child, e);
}

/* Reads what is there. 1: more may come, 0: the end. */
static int plugin_drain(struct plugin *p, struct err *e)
{
	for (;;) {
		ssize_t n = read(p->child.out, text_reserve(&p->text, PART), PART);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 1;
		if (n < 0)
			return err_set(e, EIO, "cannot read its answer: %s", strerror(errno));
		p->text.len += (size_t)n;
		p->text.buf[p->text.len] = '\0';
		if (p->text.len > JSON_MAX_BYTES)
			return err_set(
				e, EBADMSG, "its answer is longer than %d bytes", JSON_MAX_BYTES);
		if (n == 0)
			return 0;
	}
}

/* Collects stdout until the child has ended; *status is waitpid()'s. */
static int plugin_collect(struct plugin *p, int *status, struct err *e)
{
	bool open = true;
	for (;;) {
		int64_t left = p->end_ms - boot_now_ms();
		if (left <= 0)
			return err_set(e, ETIMEDOUT, "no answer in time");
		struct pollfd fds[] = {
			{.fd = p->child.pidfd, .events = POLLIN},
			{.fd = open ? p->child.out : -1, .events = POLLIN},
		};
		if (poll(fds, 2, (int)left) < 0 && errno != EINTR)
			return err_set(e, errno, "cannot wait: %s", strerror(errno));
		bool ended = fds[0].revents != 0;
		int r = open ? plugin_drain(p, e) : 0;
		if (r < 0)
			return r;
		open = r > 0;
		if (ended && waitpid(p->child.pid, status, 0) == p->child.pid) {
			p->child.pid = 0;
			return 0;
		}
	}
}

static void plugin_done(struct plugin *p)
{
	exec_child_done(&p->child);
	text_free(&p->text);
}
#define CLEANUP_PLUGIN __attribute__((cleanup(plugin_done)))

/* The plugin's own error, as it is. */
static bool take_error(const char *text, size_t len, struct err *e)
{
	CLEANUP_JSON json_t *doc = NULL;
	struct err ignored;
	int64_t code = 0;
	const char *msg = NULL;
	const char *details = "";
	if (json_parse(text, len, &doc, &ignored) < 0 ||
		json_get_number(doc, "", "code", 0, UINT32_MAX, &code, &ignored) < 0 ||
		json_get_string(doc, "", "msg", &msg, &ignored) <= 0 ||
		json_get_string(doc, "", "details", &details, &ignored) < 0)
		return false;
	(void)err_set(e, EREMOTEIO, "%s", msg);
	err_details(e, "%s", details);
	e->code = (unsigned int)code;
	return true;
}

static int describe_failure(const char *type, const struct plugin *p, int status, struct err *e)
{
	if (p->text.len > 0 && take_error(p->text.buf, p->text.len, e))
		return -EREMOTEIO;
	if (WIFSIGNALED(status))
		(void)err_set(e, EREMOTEIO, "plugin %s was killed by signal %d (%s)", type,
			WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		(void)err_set(e, EREMOTEIO, "plugin %s ended with status %d and no error document",
			type, WEXITSTATUS(status));
	if (p->text.len > 0)
		err_details(e, "it printed: %.400s", p->text.buf);
	return -EREMOTEIO;
}

int exec_plugin(const struct cni_request *r, const char *type, const char *command, int timeout_ms,
	json_t **out, struct err *e)
{
	const struct exec_call c = {
		.path = r->path,
		.type = type,
		.command = command,
		.input = r->input,
		.input_len = r->input_len,
		.timeout_ms = timeout_ms,
	};
	return exec_call(&c, out, e);
}

int exec_call(const struct exec_call *call, json_t **out, struct err *e)
{
	*out = NULL;
	char file[PATH_SIZE];
	int error = find_plugin(call->path, call->type, file, e);
	if (error < 0)
		return error;
	CLEANUP_FD int in = open_input(call->input, call->input_len, e);
	if (in < 0)
		return in;
	char variable[64];
	(void)snprintf(variable, sizeof(variable), "CNI_COMMAND=%s", call->command);
	CLEANUP_FREE char **environment = make_environment(call, variable);
	CLEANUP_PLUGIN struct plugin p = {
		.child = CHILD_NONE, .end_ms = boot_now_ms() + call->timeout_ms};
	error = plugin_start(file, environment, in, &p, e);
	if (error < 0)
		return error;
	int status = 0;
	error = plugin_collect(&p, &status, e);
	if (error == 0 && status != 0)
		return describe_failure(call->type, &p, status, e);
	bool answers = strcmp(call->command, "ADD") == 0 || strcmp(call->command, "VERSION") == 0;
	if (error == 0 && p.text.len > 0 && answers)
		error = json_parse(p.text.buf, p.text.len, out, e);
	if (error < 0)
		err_add(e, "plugin %s", call->type);
	return error;
}

int exec_find(const char *path, const char *type, struct err *e)
{
	char file[PATH_SIZE];
	return find_plugin(path, type, file, e);
}

int exec_refuse_self(const char *path, const char *type, struct err *e)
{
	char file[PATH_SIZE];
	struct stat found;
	struct stat self;
	int r = find_plugin(path, type, file, e);
	if (r < 0)
		return r;
	if (stat(file, &found) < 0 || stat("/proc/self/exe", &self) < 0)
		return err_set(e, errno, "cannot look at plugin %s: %s", type, strerror(errno));
	if (found.st_dev == self.st_dev && found.st_ino == self.st_ino)
		return err_set(e, EINVAL,
			"plugin %s (%s) is this very plugin, which cannot execute itself", type,
			file);
	return 0;
}

/* ---- Children that are talked with ---- */

static int child_start_with_pipes(
	const char *file, const char *const *arguments, struct exec_child *c, struct err *e)
{
	CLEANUP_FD int in = -1, out = -1, errors = -1;
	int r = open_pipe(&in, &c->in, e);
	if (r == 0)
		r = open_pipe(&c->out, &out, e);
	if (r == 0)
		r = open_pipe(&c->errors, &errors, e);
	if (r < 0)
		return r;
	const int ours[] = {c->in, c->out, c->errors};
	for (size_t i = 0; i < 3; i++)
		(void)fcntl(ours[i], F_SETFL, O_NONBLOCK);
	const struct launch l = {
		.file = file,
		.arguments = (char *const *)arguments,
		.environment = environ,
		.fds = {in, out, errors},
		.outlives = true,
	};
	return child_start(&l, false, c, e);
}

int exec_child_start(const char *const *arguments, struct exec_child *out, struct err *e)
{
	char file[PATH_SIZE];
	const char *name = arguments[0], *path = getenv("PATH");
	struct text t = TEXT_ON(file);
	text_add(&t, "%s", name);
	if (!strchr(name, '/') && find_plugin(path ? path : SEARCH, name, file, e) < 0)
		return err_set(e, ENOENT, "there is no program \"%.100s\" in PATH", name);
	*out = (struct exec_child)CHILD_NONE;
	int r = child_start_with_pipes(file, arguments, out, e);
	if (r < 0)
		exec_child_done(out);
	return r;
}

bool exec_child_has_ended(struct exec_child *c, int *status)
{
	if (c->pid > 0 && waitpid(c->pid, &c->status, WNOHANG) == c->pid)
		c->pid = 0;
	*status = c->status;
	return c->pid == 0;
}

void exec_child_done(struct exec_child *c)
{
	int *const fds[] = {&c->pidfd, &c->in, &c->out, &c->errors};
	if (c->pid > 0) {
		(void)kill(c->pid, SIGKILL);
		(void)waitpid(c->pid, NULL, 0);
	}
	for (size_t i = 0; i < 4; i++) {
		mem_cleanup_fd(fds[i]);
		*fds[i] = -1;
	}
	c->pid = 0;
}
