// Gap and bounds of a net: report MODEL --data FILE ...   (C++17, nlohmann-json, POSIX)
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

// What a program prints, without a shell in between that could misread a file name.
static std::string output_of(std::vector<char*> words) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("pipe");
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    execvp(words[0], words.data());
    _exit(127);
  }
  close(ends[1]);
  std::string text;
  char block[4096];
  for (ssize_t n; (n = read(ends[0], block, sizeof block)) > 0;) text.append(block, n);
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return text;
}

int main(int count, char** given) {
  std::string program = "onnxbound", verb = "analyze", json = "--json", quiet = "--quiet";
  std::vector<char*> words{program.data(), verb.data()};
  words.insert(words.end(), given + 1, given + count);
  words.insert(words.end(), {json.data(), quiet.data(), nullptr});
  const auto document = nlohmann::json::parse(output_of(words));
  if (document["schema"] == "onnxbound.error/1") {
    std::cerr << document["code"].get<std::string>() << ": " << document["message"].get<std::string>() << '\n';
    return document["exit_code"];
  }
  const auto& data = document["data"];
  if (!data["test_error"].is_null())
    std::cout << "gap: " << data["test_error"].get<double>() - data["train_error"].get<double>() << '\n';
  for (const auto& bound : document["bounds"]) {
    if (bound["kind"] == "as_plotted") continue;
    std::cout << bound["name"].get<std::string>() << ": ";
    if (bound["value"].is_null()) std::cout << "does not apply";
    else std::cout << bound["value"].get<double>();
    std::cout << (bound["vacuous"].get<bool>() ? " (vacuous)\n" : "\n");
  }
}
