defmodule Shop.Health do
  @moduledoc "Answers every HTTP request with 200, so that whoever starts the shop sees that it runs."
  use Task, restart: :permanent

  def start_link(port), do: Task.start_link(fn -> listen(port) end)

  defp listen(port) do
    {:ok, socket} = :gen_tcp.listen(port, [:binary, packet: :http_bin, active: false, reuseaddr: true])
    serve(socket)
  end

  defp serve(socket) do
    {:ok, client} = :gen_tcp.accept(socket)
    _ = :gen_tcp.recv(client, 0, 1000)
    _ = :gen_tcp.send(client, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
    :gen_tcp.close(client)
    serve(socket)
  end
end
