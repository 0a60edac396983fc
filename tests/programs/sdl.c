// A program as games are: a window with a renderer, painted as fast as it can, that shows what input it got.
#include <SDL2/SDL.h>
#include <stdio.h>

int main(void) {
    if (SDL_Init(SDL_INIT_VIDEO) != 0) {
        printf("SDL_Init: %s\n", SDL_GetError());
        return 1;
    }
    SDL_Window *window = SDL_CreateWindow("sdl-window", 0, 0, 640, 400, SDL_WINDOW_RESIZABLE);
    SDL_Renderer *renderer = window ? SDL_CreateRenderer(window, -1, 0) : NULL;
    if (!renderer) {
        printf("no window: %s\n", SDL_GetError());
        return 1;
    }
    printf("driver %s\n", SDL_GetCurrentVideoDriver());
    SDL_Rect square = {50, 50, 100, 100};
    int keys = 0, clicks = 0;
    for (int frame = 0;; frame++) {
        SDL_Event event;
        while (SDL_PollEvent(&event)) {
            if (event.type == SDL_MOUSEBUTTONDOWN) {
                square.x = event.button.x - 50;
                square.y = event.button.y - 50;
                clicks++;
            }
            if (event.type == SDL_KEYDOWN && event.key.keysym.sym == SDLK_g) keys++;
            if (event.type == SDL_QUIT || (event.type == SDL_KEYDOWN && event.key.keysym.sym == SDLK_q)) {
                printf("keys %d clicks %d\n", keys, clicks);
                SDL_Quit();
                return 0;
            }
        }
        SDL_SetRenderDrawColor(renderer, 0, 0, 90, 255);
        SDL_RenderClear(renderer);
        SDL_SetRenderDrawColor(renderer, keys ? 0 : 220, keys ? 200 : 0, 0, 255);
        SDL_RenderFillRect(renderer, &square);
        // Something that moves, in many colours.
        for (int i = 0; i < 32; i++) {
            SDL_Rect dot = {(frame * 4 + i * 20) % 640, 300, 10, 10};
            SDL_SetRenderDrawColor(renderer, 100 + i * 4, 90, 200 - i * 4, 255);
            SDL_RenderFillRect(renderer, &dot);
        }
        SDL_RenderPresent(renderer);
        SDL_Delay(5);
    }
}
