// Search finds an option as it is typed. Without this, "--min-speedup" means: pages without these words. Here it means: pages with
// all of them.
const post = Worker.prototype.postMessage
const query = 2 // the kind of message that asks for results
Worker.prototype.postMessage = function (message, ...rest) {
  if (message?.type === query) {
    const words = (_, name) => name.split(/[.-]+/).map((word) => `+${word}`).join(" ")
    message = {...message, data: message.data.replace(/(?<=^|\s)-+(\w[\w.-]*\w)/g, words)}
  }
  return post.call(this, message, ...rest)
}
